package remote

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// Options for New.
type Options struct {
	// Servers are addresses, separated by commas: [nats://|tls://][user:password@]host[:port].
	Servers string
	// Name is what the connection is called there.
	Name string
	// Who the client is, at most one of them. A server's address may have a user, too.
	User, Password, Token string
	NKeyFile, Credentials string
	// Secure takes no connection without TLS. Servers that ask for TLS get it anyway.
	Secure bool
	// TLS has the certificates; nil: the system's authorities, no certificate.
	TLS *tls.Config
	Log *slog.Logger
	// Patience is how long Open tries, 0: ten seconds. Retry is the pause before the
	// servers are tried again, 0: a quarter of a second; it doubles up to eight times that.
	Patience, Retry time.Duration
}

// Times.
const (
	defaultPatience = 10 * time.Second
	defaultRetry    = 250 * time.Millisecond
	mostRetries     = 8               // times Retry
	dialTimeout     = 2 * time.Second // for a connection
	helloTimeout    = 5 * time.Second // from there until it may be used
	writeTimeout    = 10 * time.Second
	lastWrite       = time.Second // at the end
	pingInterval    = 20 * time.Second
	pingsOut        = 2 // unanswered ones before the connection is given up
)

// server is one address.
type server struct {
	host     string // and port
	user     *url.Userinfo
	insecure bool // TLS is not asked for by the address
}

// parseServers reads a list of addresses.
func parseServers(list string) ([]server, error) {
	var out []server
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil {
			return nil, errors.New("the address of a NATS server is not a URL") // with it a password would be told
		}
		if u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" {
			return nil, fmt.Errorf("%q is not the address of a NATS server, such as nats://host:4222", u.Redacted())
		}
		port := u.Port()
		if port == "" {
			port = "4222"
		}
		out = append(out, server{host: net.JoinHostPort(u.Hostname(), port), user: u.User, insecure: u.Scheme != "tls"})
	}
	if len(out) == 0 {
		return nil, errors.New("no address of a NATS server is given")
	}
	return out, nil
}

// identify fills in who the client is. nonce is to be signed.
func (o *Options) identify(c *wire.Connect, s *server, nonce string) error {
	c.User, c.Pass, c.Token = o.User, o.Password, o.Token
	if s.user != nil {
		c.User, c.Token = s.user.Username(), ""
		var named bool
		if c.Pass, named = s.user.Password(); !named {
			c.User, c.Token = "", s.user.Username()
		}
	}
	switch {
	case o.Credentials != "":
		b, err := os.ReadFile(o.Credentials)
		if err != nil {
			return fmt.Errorf("read the credentials: %w", err)
		}
		if c.JWT, err = nkeys.ParseDecoratedJWT(b); err != nil {
			return fmt.Errorf("read the credentials: %w", err)
		}
		_, err = sign(c, b, nonce)
		return err
	case o.NKeyFile != "":
		b, err := os.ReadFile(o.NKeyFile)
		if err != nil {
			return fmt.Errorf("read the nkey: %w", err)
		}
		c.NKey, err = sign(c, b, nonce)
		return err
	}
	return nil
}

// sign signs the nonce with the seed that a file has, and returns the public key.
func sign(c *wire.Connect, file []byte, nonce string) (public string, err error) {
	key, err := nkeys.ParseDecoratedNKey(file)
	if err != nil {
		return "", fmt.Errorf("read the seed: %w", err)
	}
	defer key.Wipe()
	if public, err = key.PublicKey(); err != nil {
		return "", fmt.Errorf("read the seed: %w", err)
	}
	sig, err := key.Sign([]byte(nonce))
	if err != nil {
		return "", fmt.Errorf("sign the server's nonce: %w", err)
	}
	c.Sig = base64.RawURLEncoding.EncodeToString(sig)
	return public, nil
}
