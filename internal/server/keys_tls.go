package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	natsdoor "github.com/weirmq/weir/internal/door/nats"
	"github.com/weirmq/weir/internal/listen"
)

// TLSConfig is how a listener's clients are secured.
type TLSConfig struct {
	Named   bool // there is to be TLS
	Options listen.TLSOptions
	Timeout time.Duration
	// First has the handshake come before INFO; Fallback is how long it is waited for,
	// 0: for ever.
	First    bool
	Fallback time.Duration
	Map      bool // the certificate says who the client is
}

// defaultTLSTimeout bounds a handshake.
const defaultTLSTimeout = 2 * time.Second

// autoFallback is how long "auto" waits for a handshake before the INFO.
const autoFallback = 50 * time.Millisecond

// tls reads a block.
func (v value) tls() TLSConfig {
	c := TLSConfig{Named: true, Timeout: defaultTLSTimeout}
	var pair listen.KeyPair
	insecureSuites := false
	v.block(block{
		{names: "cert_file", set: func(_ *Config, v value) { pair.CertFile = v.str() }},
		{names: "key_file", set: func(_ *Config, v value) { pair.KeyFile = v.str() }},
		{names: "ca_file", set: func(_ *Config, v value) { c.Options.CAFile = v.str() }},
		{names: "certs certificates", set: func(_ *Config, v value) {
			v.each(func(e value) {
				var p listen.KeyPair
				e.block(block{
					{names: "cert_file", set: func(_ *Config, v value) { p.CertFile = v.str() }},
					{names: "key_file", set: func(_ *Config, v value) { p.KeyFile = v.str() }},
				})
				c.Options.Pairs = append(c.Options.Pairs, p)
			})
		}},
		{names: "verify", set: func(_ *Config, v value) { c.Options.Verify = v.boolean() }},
		{names: "verify_and_map", set: func(_ *Config, v value) {
			if c.Map = v.boolean(); c.Map {
				c.Options.Verify = true
			}
		}},
		{names: "timeout", set: func(_ *Config, v value) { c.Timeout = v.duration() }},
		{names: "handshake_first first immediate", set: func(_ *Config, v value) { v.handshakeFirst(&c) }},
		{names: "min_version minversion", set: func(_ *Config, v value) {
			switch v.str() {
			case "1.2":
				c.Options.MinVersion = tls.VersionTLS12
			case "1.3":
				c.Options.MinVersion = tls.VersionTLS13
			default:
				v.fail("must be \"1.2\" or \"1.3\"")
			}
		}},
		{names: "allow_insecure_cipher_suites", set: func(_ *Config, v value) { insecureSuites = v.boolean() }},
		{names: "curve_preferences", set: func(_ *Config, v value) {
			for _, name := range v.strs() {
				id, ok := listen.Curve(name)
				if !ok {
					v.fail("%q is not a known curve", name)
				}
				c.Options.Curves = append(c.Options.Curves, id)
			}
		}},
		{names: "pinned_certs", set: func(_ *Config, v value) {
			for _, sum := range v.strs() {
				sum = strings.ToLower(sum)
				if len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" {
					v.fail("%q is not the SHA-256 of a public key in hex", sum)
				}
				c.Options.Pinned = append(c.Options.Pinned, sum)
			}
		}},
		// They are read in the order of their names, so this one knows what is allowed.
		{names: "cipher_suites", set: func(_ *Config, v value) {
			for _, name := range v.strs() {
				id, insecure, ok := listen.CipherSuite(name)
				switch {
				case !ok:
					v.fail("%q is not a known cipher suite", name)
				case insecure && !insecureSuites:
					v.fail("%s is not secure: allow_insecure_cipher_suites: true allows it all the same", name)
				}
				c.Options.CipherSuites = append(c.Options.CipherSuites, id)
			}
		}},
		{names: "connection_rate_limit", note: "handshakes are bounded by the processors, not by a rate"},
		{names: "insecure verify_cert_and_check_known_urls", note: noteLinks},
		{names: "ocsp_peer", set: refuse("OCSP is not served yet: without it this server would take revoked certificates")},
		{names: "cert_store cert_match_by cert_match cert_match_skip_invalid ca_certs_match", set: refuse("certificates are read from files only")},
	})
	if pair != (listen.KeyPair{}) {
		c.Options.Pairs = append([]listen.KeyPair{pair}, c.Options.Pairs...)
	}
	for _, p := range c.Options.Pairs {
		if p.CertFile == "" || p.KeyFile == "" {
			v.fail("a certificate needs cert_file and key_file")
			return c
		}
	}
	if len(c.Options.Pairs) == 0 {
		v.fail("needs cert_file and key_file")
	}
	return c
}

func (v value) handshakeFirst(c *TLSConfig) {
	switch x := v.v.(type) {
	case bool:
		c.First = x
	case string:
		if strings.EqualFold(x, "auto") {
			c.First, c.Fallback = true, autoFallback
			return
		}
		c.First, c.Fallback = true, v.duration()
	default:
		c.First, c.Fallback = true, v.duration()
	}
}

// flagPair is the certificate that flags name.
func (c *Config) flagPair() *listen.KeyPair {
	if len(c.TLS.Options.Pairs) == 0 {
		c.TLS.Options.Pairs = []listen.KeyPair{{}}
		if c.TLS.Timeout == 0 {
			c.TLS.Timeout = defaultTLSTimeout
		}
	}
	return &c.TLS.Options.Pairs[0]
}

// checkTLS reads the certificates: a server that can not be reached does not start.
func (c *Config) checkTLS() error {
	if c.AllowNonTLS && !c.TLS.Named {
		return errors.New("allow_non_tls speaks of a tls block that is not there")
	}
	if _, err := c.WebSocket.webTLS(); err != nil {
		return err
	}
	_, err := c.doorTLS()
	return err
}

// doorTLS is how the NATS door secures its clients; nil: it does not.
func (c *Config) doorTLS() (*natsdoor.TLS, error) {
	t := &c.TLS
	if !t.Named {
		return nil, nil
	}
	config, err := t.Options.Config()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &natsdoor.TLS{Config: config, Timeout: t.Timeout, First: t.First, Fallback: t.Fallback, Optional: c.AllowNonTLS}, nil
}
