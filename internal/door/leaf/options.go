package leaf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// Options for New.
type Options struct {
	ServerID, ServerName string
	Version              string // the level of NATS
	Domain               string // of JetStream here; empty: none
	JetStream            bool
	SystemAccount        string
	// Space finds an account's subjects; nil: there is no such account.
	Space func(account string) *broker.Space
	// Reconnect is the pause before a system is tried again, 0: one second. It doubles up
	// to eight times that.
	Reconnect time.Duration
	// PingInterval is how often the other side is asked whether it is there, 0: two
	// minutes; PingMax how many questions may be unanswered, 0: 2.
	PingInterval  time.Duration
	PingMax       int
	MaxPending    int64 // bytes that wait to be sent over one link; 0: 64 MiB
	WriteDeadline time.Duration
	Remotes       []RemoteOptions
	Log           *slog.Logger
}

// RemoteOptions are one system and how to join it.
type RemoteOptions struct {
	// URLs of its listeners: nats://, tls:// or nats-leaf://, or all of them ws:// or wss://,
	// with the user in front of the host.
	URLs    []string
	Account string // that it is bound to
	// Who this server is there, where the URL says nothing: a file of credentials, or the
	// seed of a key.
	Credentials, Seed string
	// TLS has the certificates; nil: TLS where the URL or the other side says so.
	TLS *tls.Config
	// TLSFirst has the handshake come before everything else.
	TLSFirst   bool
	TLSTimeout time.Duration // 0: two seconds
	// DenyImports are subjects that are not to come from there, DenyExports those that are
	// not to go there.
	DenyImports, DenyExports []string
	// InOrder tries the URLs as they stand, not at random. OnlyNamed ignores servers that
	// the system tells of.
	InOrder, OnlyNamed bool
	// Isolate asks not to be told of the interest of other leaf nodes.
	Isolate bool
	// Dial and FirstInfo bound the wait for a connection and for its first line, 0: one second.
	Dial, FirstInfo time.Duration
}

// Defaults, and bounds that nobody sets.
const (
	defaultReconnect  = time.Second
	mostReconnects    = 8 // times Reconnect
	defaultPing       = 2 * time.Minute
	defaultPingMax    = 2
	firstPing         = time.Second
	defaultMaxPending = 64 << 20
	defaultDial       = time.Second
	defaultTLSTimeout = 2 * time.Second
	connectTimeout    = 2 * time.Second // from CONNECT to its answer
	lastWrite         = time.Second     // at the end
	defaultPort       = "7422"
)

func (o *Options) fill() {
	o.Reconnect = or(o.Reconnect, defaultReconnect)
	o.PingInterval = or(o.PingInterval, defaultPing)
	o.PingMax = or(o.PingMax, defaultPingMax)
	o.MaxPending = or(o.MaxPending, defaultMaxPending)
}

func (o *RemoteOptions) fill() {
	o.Dial = or(o.Dial, defaultDial)
	o.FirstInfo = or(o.FirstInfo, defaultDial)
	o.TLSTimeout = or(o.TLSTimeout, defaultTLSTimeout)
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// ParseURL says whether a text is the address of a listener for leaf nodes. Its errors
// tell no password.
func ParseURL(s string) error {
	_, err := parseServer(s)
	return err
}

// server is one address.
type server struct {
	host   string // and port
	user   *url.Userinfo
	secure bool // the address asks for TLS
	web    bool // it is reached over WebSocket
	path   string
}

// schemes are those of addresses.
var schemes = []string{"nats", "tls", "nats-leaf", "ws", "wss"}

func parseServer(s string) (server, error) {
	u, err := url.Parse(s)
	if err != nil {
		return server{}, errors.New("the address of a leaf node listener is not a URL") // with it a password would be told
	}
	switch {
	case !slices.Contains(schemes, u.Scheme) || u.Hostname() == "":
		return server{}, fmt.Errorf("%q is not the address of a leaf node listener, such as nats://host:7422", u.Redacted())
	}
	at := server{host: net.JoinHostPort(u.Hostname(), or(u.Port(), defaultPort)), user: u.User, secure: u.Scheme == "tls" || u.Scheme == "wss"}
	if u.Scheme == "ws" || u.Scheme == "wss" {
		at.web, at.path = true, webAddress(u)
	}
	return at, nil
}
