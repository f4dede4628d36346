package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/weirmq/weir/internal/door/stan/remote"
)

// RemoteConfig is a NATS system that others run, and how to be its client.
type RemoteConfig struct {
	Servers               string // addresses, separated by commas; empty: none
	User, Password, Token string
	NKeyFile, Credentials string
	Secure                bool
	// Files for TLS, and the name that the server's certificate is to have.
	CertFile, KeyFile, CAFile, ServerName string
	Insecure                              bool // the certificate is not verified
}

// check holds the settings against each other.
func (c *RemoteConfig) check() error {
	kinds := 0
	for _, said := range []bool{c.User != "", c.Token != "", c.NKeyFile != "", c.Credentials != ""} {
		if said {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return errors.New("one of username, token, nkey_seed_file and credentials says who the server is in the other NATS system, not several")
	case c.User == "" && c.Password != "":
		return errors.New("a password needs a username")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("client_cert and client_key belong together")
	}
	return nil
}

// settleRemote warns of settings for a system that is not named.
func (c *Config) settleRemote() {
	rest := c.Stan.Remote
	rest.Servers = ""
	if c.Stan.Remote.Servers == "" && rest != (RemoteConfig{}) {
		c.Warnings = append(c.Warnings, "stan: user, certificates, secure: known, but not honoured: "+noteStanClient)
	}
	if c.Stan.Remote.Servers != "" && rest.Insecure {
		c.Warnings = append(c.Warnings, "stan: tls: insecure: the certificate of the NATS server is not verified: whoever is between can read and change everything")
	}
}

// secured reads the files; nil: nothing was said of TLS.
func (c *RemoteConfig) secured() (*tls.Config, error) {
	if c.CertFile == "" && c.CAFile == "" && c.ServerName == "" && !c.Insecure {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.Insecure}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate %s: %w", c.CertFile, err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authority: %w", err)
		}
		if out.RootCAs = x509.NewCertPool(); !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the certificate authority: %s has none", c.CAFile)
		}
	}
	return out, nil
}

// client makes a client that is not connected.
func (c *RemoteConfig) client(name string, log *slog.Logger) (*remote.Client, error) {
	secured, err := c.secured()
	if err != nil {
		return nil, err
	}
	return remote.New(remote.Options{
		Servers: c.Servers, Name: name, User: c.User, Password: c.Password, Token: c.Token,
		NKeyFile: c.NKeyFile, Credentials: c.Credentials, Secure: c.Secure, TLS: secured, Log: log,
	})
}

// dialRemote connects to the system that streaming clients are in, if it is not this
// server. hangUp ends that; what is answered before goes out.
func (r *rooms) dialRemote(ctx context.Context) (hangUp func(), err error) {
	if r.stanRemote == nil {
		return func() {}, nil
	}
	if err := r.stanRemote.Open(ctx); err != nil {
		return nil, fmt.Errorf("serve streaming in another NATS system: %w", err)
	}
	working, cancel := context.WithCancel(context.Background())
	r.running.Go(func() error { return r.stanRemote.Run(working) })
	return cancel, nil
}

// beside says whether the address for NATS clients is taken by a server that this one
// stands beside, so that it has no clients of its own there: the old streaming server
// listened to nobody either when it was told of a NATS server.
func (p *process) beside(err error) bool {
	if p.config.Stan.Remote.Servers == "" || !errors.Is(err, syscall.EADDRINUSE) {
		return false
	}
	p.log.Warn("not listening for NATS clients: another server has the address; -p chooses another port", "error", err)
	return true
}

// natsAddr is where NATS clients are listened for; empty: nowhere.
func (p *process) natsAddr() string {
	if p.ln == nil {
		return ""
	}
	return p.ln.Addr().String()
}

// unlisten closes the listener that is not served yet.
func (p *process) unlisten() error {
	if p.ln == nil {
		return nil
	}
	return p.ln.Close()
}

// remoteKeys are those for the connection to another NATS system that an old file may
// have in its block.
var remoteKeys = block{
	{names: "secure", set: func(c *Config, v value) { c.Stan.Remote.Secure = v.boolean() }},
	{names: "credentials", set: func(c *Config, v value) { c.Stan.Remote.Credentials = v.str() }},
	{names: "username user", set: func(c *Config, v value) { c.Stan.Remote.User = v.credential() }},
	{names: "password pass", set: func(c *Config, v value) { c.Stan.Remote.Password = v.credential() }},
	{names: "token", set: func(c *Config, v value) { c.Stan.Remote.Token = v.credential() }},
	{names: "nkey_seed_file", set: func(c *Config, v value) { c.Stan.Remote.NKeyFile = v.str() }},
}

var remoteTLSKeys = block{
	{names: "client_cert", set: func(c *Config, v value) { c.Stan.Remote.CertFile = v.str() }},
	{names: "client_key", set: func(c *Config, v value) { c.Stan.Remote.KeyFile = v.str() }},
	{names: "client_ca client_cacert", set: func(c *Config, v value) { c.Stan.Remote.CAFile = v.str() }},
	{names: "server_name server_hostname", set: func(c *Config, v value) { c.Stan.Remote.ServerName = v.str() }},
	{names: "insecure skip_verify", set: func(c *Config, v value) { c.Stan.Remote.Insecure = v.boolean() }},
}
