package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/atrest"
	jsdoor "github.com/weirmq/weir/internal/door/jetstream"
	liftdoor "github.com/weirmq/weir/internal/door/liftbridge"
	"github.com/weirmq/weir/internal/listen"
	"github.com/weirmq/weir/internal/stream"
)

// LiftbridgeConfig is Liftbridge's gRPC interface.
type LiftbridgeConfig struct {
	Enabled     bool
	Listen      string // host to bind; empty: that of NATS clients
	ListenPort  int
	Host        string // that clients are told; empty: the bound one
	Port        int    // that clients are told; 0: the bound one
	Account     string
	ServerID    string // empty: that of the data directory
	Cert, Key   string // files; empty: connections are not encrypted
	ClientCA    string // file with who signs clients' certificates; empty: the system's
	ClientCerts bool   // clients must show a certificate
	Authz       LiftAuthzConfig
	DataDir     string // empty: that of JetStream
	NATSOff     bool   // NATS clients are not listened for
	// Door has what the door itself wants to know.
	Door liftdoor.Options
}

// Defaults of Liftbridge.
const (
	defaultLiftPort      = 9292
	defaultNamespace     = "liftbridge-default"
	defaultLiftMaxAge    = 168 * time.Hour
	defaultCleaner       = 5 * time.Minute
	defaultSegmentBytes  = 256 << 20
	defaultCompactors    = 10
	defaultLiftMessage   = 1 << 20
	defaultCursors       = 4
	defaultCursorPause   = time.Minute
	defaultGroupsTimeout = 15 * time.Second
	defaultActivityWait  = 5 * time.Second
)

// defaultLiftbridge is the configuration of which nothing was said.
func defaultLiftbridge() LiftbridgeConfig {
	return LiftbridgeConfig{
		ListenPort: defaultLiftPort, Account: account.Global,
		Door: liftdoor.Options{
			Namespace: defaultNamespace, MaxMessage: defaultLiftMessage, Cursors: defaultCursors, CursorAutoPause: defaultCursorPause,
			ActivityTimeout: defaultActivityWait, ConsumerTimeout: defaultGroupsTimeout, CoordinatorTimeout: defaultGroupsTimeout,
			Defaults: liftdoor.Defaults{
				MaxAge: defaultLiftMaxAge, CleanerInterval: defaultCleaner, SegmentMaxBytes: defaultSegmentBytes,
				CompactGoroutines: defaultCompactors, MinISR: 1,
			},
		},
	}
}

// liftbridgeKeyEnv is where Liftbridge's users have the key for what is stored.
const liftbridgeKeyEnv = "LIFTBRIDGE_ENCRYPTION_KEY"

// settleLiftbridge fills in what depends on other settings.
func (c *Config) settleLiftbridge() {
	l := &c.Liftbridge
	if !l.Enabled {
		return
	}
	if l.DataDir != "" && c.JetStream.StoreDir == defaultStoreDir {
		c.JetStream.StoreDir = l.DataDir
	}
	e := &c.JetStream.Encryption
	switch key := os.Getenv(liftbridgeKeyEnv); {
	case e.Key != "":
	case len(key) == 16 || len(key) == 32:
		e.Key = key
		if e.Cipher == atrest.Clear {
			e.Cipher = atrest.DefaultCipher()
		}
	case key == "":
		l.Door.Encryption = fmt.Errorf("neither %s nor jetstream { key } is set", liftbridgeKeyEnv)
	default:
		l.Door.Encryption = fmt.Errorf("%s has %d bytes, not 16 or 32", liftbridgeKeyEnv, len(key))
	}
}

// checkLiftbridge holds Liftbridge's settings against the others.
func (c *Config) checkLiftbridge() error {
	l := &c.Liftbridge
	switch {
	case !l.Enabled:
		return nil
	case l.NATSOff && c.WebSocket.Named:
		return errors.New("liftbridge: nats_api is off, and websocket is for NATS clients")
	case c.accountRegistry().Find(l.Account) == nil:
		return fmt.Errorf("liftbridge: there is no account %q", l.Account)
	case (l.Cert == "") != (l.Key == ""):
		return errors.New("liftbridge: tls.cert and tls.key go together")
	case l.ClientCerts && l.Cert == "":
		return errors.New("liftbridge: tls.client.auth.enabled needs tls.cert and tls.key")
	case l.Authz.Enabled && !l.ClientCerts:
		return errors.New("liftbridge: tls.client.authz.enabled needs tls.client.auth.enabled: policies judge clients by the names of their certificates")
	case l.Door.Defaults.Encryption && l.Door.Encryption != nil:
		return fmt.Errorf("liftbridge: streams.encryption: %w", l.Door.Encryption)
	}
	if _, err := l.tls(); err != nil {
		return err
	}
	return c.readPolicy()
}

// liftDialect is how Liftbridge talks to streams. It is there even where its door is
// shut: streams outlive configurations.
func liftDialect(c *Config) liftdoor.Dialect {
	return liftdoor.Dialect{Dialect: jsdoor.Dialect{Domain: c.JetStream.Domain}, MaxMessage: c.Liftbridge.Door.MaxMessage}
}

// buildLiftbridge makes the door for Liftbridge's clients. It is there also where they
// are not served: NATS clients have consumer groups, too.
func (r *rooms) buildLiftbridge(c *Config) error {
	o := c.Liftbridge.Door
	o.ID, o.Account, o.Space, o.Auth = c.Liftbridge.ServerID, c.Liftbridge.Account, r.space, &liftKeeper{rooms: r}
	o.Poller, o.Log = r.poller, r.log
	if o.ID == "" {
		n, err := r.storage.identity()
		if err != nil {
			return err
		}
		o.ID = strconv.FormatUint(n, 36)
	}
	if c.Liftbridge.Enabled {
		secure, err := c.Liftbridge.tls()
		if err != nil {
			return err
		}
		if secure != nil {
			r.liftTLS.Store(secure)
			o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return r.liftTLS.Load(), nil
			}}
		}
		o.Policy = c.Liftbridge.Authz.judge()
	}
	r.liftAccount = o.Account
	r.lift = liftdoor.New(o)
	r.lift.Start(r.streams)
	return nil
}

// streamDeleted tells the consumer groups.
func (r *rooms) streamDeleted(account, name string, m *stream.Member) {
	if r.lift != nil { // replay is over
		r.lift.StreamDeleted(account, name, m)
	}
}

// serveGroups answers an account's NATS clients about consumer groups.
func (r *rooms) serveGroups(name string) {
	r.ended = append(r.ended, r.lift.ServeGroups(r.spaces.Get(name), func() bool {
		a := r.accounts.Find(name)
		return a != nil && a.JetStream.Enabled
	}))
}

// tls reads the certificates; nil where there are none, or nobody is served.
func (l *LiftbridgeConfig) tls() (*tls.Config, error) {
	if !l.Enabled || l.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(l.Cert, l.Key)
	if err != nil {
		return nil, fmt.Errorf("liftbridge: read tls.cert and tls.key: %w", err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if !l.ClientCerts {
		return t, nil
	}
	t.ClientAuth = tls.RequireAndVerifyClientCert
	if l.ClientCA == "" {
		return t, nil
	}
	b, err := os.ReadFile(l.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("liftbridge: read tls.client.auth.ca: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("liftbridge: tls.client.auth.ca: %s holds no certificate", l.ClientCA)
	}
	return t, nil
}

// startLiftbridge binds the address and begins to serve.
func (p *process) startLiftbridge() error {
	l, r := &p.config.Liftbridge, p.rooms
	if r.lift == nil || !l.Enabled {
		return nil
	}
	host := l.Listen
	if host == "" {
		host = p.config.Host
	}
	ln, err := listen.TCP(net.JoinHostPort(host, strconv.Itoa(max(l.ListenPort, 0))), func(err error, pause time.Duration) {
		p.log.Warn("client not accepted", "door", "liftbridge", "error", err, "retry_in", pause)
	})
	if err != nil {
		return fmt.Errorf("listen for Liftbridge clients: %w: liftbridge { listen } chooses another address", err)
	}
	bound, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return errors.Join(fmt.Errorf("listen for Liftbridge clients: %v is no TCP address", ln.Addr()), ln.Close())
	}
	told, port := l.Host, l.Port
	if told == "" {
		if told = host; bound.IP.IsUnspecified() {
			told = "localhost"
		}
	}
	if port == 0 {
		port = bound.Port
	}
	r.lift.Advertise(told, port)
	if err := r.lift.Prepare(context.Background()); err != nil {
		return errors.Join(err, ln.Close())
	}
	r.liftAddr = ln.Addr().String()
	r.running.Go(func() error {
		if err := r.lift.Serve(ln); err != nil {
			p.log.Error("Liftbridge is not served any more", "error", err)
		}
		return nil
	})
	return nil
}
