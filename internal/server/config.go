package server

import (
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/stream"
)

// Config is the whole configuration: the file with the flags over it. Only
// assembly sees it.
type Config struct {
	File   string // the file that was read; empty: none
	Digest string // sha256 of what was read

	Host      string
	HostNamed bool // Host was configured
	Port      int  // -1: a free one

	ServerName      string
	ClientAdvertise string

	MaxPayload      int
	MaxPending      int64
	MaxControlLine  int
	MaxConnections  int // negative or, where it is configured, 0: nobody is let in
	MaxSubs         int // 0: unlimited
	MaxSubTokens    int
	MaxClosed       int
	PingInterval    time.Duration
	PingMax         int
	WriteDeadline   time.Duration
	NoHeaderSupport bool

	LameDuckDuration, LameDuckGrace time.Duration

	TLS         TLSConfig
	AllowNonTLS bool // clients without TLS are let in beside those with it

	WebSocket WebSocketConfig

	Auth          AuthConfig
	Accounts      []AccountConfig
	SystemAccount string
	NoSystem      bool

	JetStream JetStreamConfig
	Stan      StanConfig
	// Liftbridge is its gRPC interface.
	Liftbridge LiftbridgeConfig
	// Leaf are the systems that this server is a leaf node of.
	Leaf LeafConfig
	HTTP HTTPConfig
	Log  LogConfig

	PidFile      string
	PortsFileDir string

	// Warnings name what is configured and not honoured, with its place.
	Warnings []string
}

// AuthConfig is who may come in without belonging to a configured account.
type AuthConfig struct {
	User, Password, Token string
	Users                 []UserConfig
	NoAuthUser            string
	Timeout               time.Duration
	Default               *PermissionConfig
	timeoutNamed          bool
	configured            bool // there was a block that names, or should name, who may come in
}

// UserConfig is a configured user.
type UserConfig struct {
	Name, Password string
	Permissions    *PermissionConfig
}

// PermissionConfig is what a user may do.
type PermissionConfig struct {
	Publish, Subscribe auth.Rule
	Responses          *auth.Responses
}

// AccountConfig is a configured account.
type AccountConfig struct {
	Name                             string
	Users                            []UserConfig
	MaxConnections, MaxSubscriptions int
	MaxPayload                       int
	JetStream                        bool
	MaxMemory, MaxStorage            int64 // negative: no limit
	MaxStreams, MaxConsumers         int
	MaxAckPending                    int   // of each consumer; negative: no limit
	MaxMemoryStream                  int64 // of each stream in memory; negative: no limit
	MaxStorageStream                 int64 // of each stream on disk; negative: no limit
	NeedsMaxBytes                    bool  // each stream must have max_bytes
	Default                          *PermissionConfig
	Exports                          []account.Export
	Imports                          []account.Import
}

// JetStreamConfig is where and how streams are kept.
type JetStreamConfig struct {
	Enabled   bool
	Named     bool // Enabled was configured by a flag
	StoreDir  string
	MaxMemory int64 // bytes; negative: no limit
	MaxFile   int64
	Domain    string
	// SyncInterval of 0 syncs before each acknowledgement; more relaxes that.
	SyncInterval time.Duration
	// ScrubRate is how many bytes a second are verified in the background, 0 for none;
	// ScrubInterval the time from the beginning of one pass to that of the next.
	ScrubRate     int64
	ScrubInterval time.Duration
	// ReclaimRate is how many bytes a second are read or written to compact streams and
	// to give the space of removed messages back. ReclaimFrom is how many bytes that is
	// to save, 0 for the default: no key sets it, tests do.
	ReclaimRate int64
	ReclaimFrom int64
	// ExtentFrom is from how many bytes on frames are written once, to extents; 0 for
	// the default, below 0 for none. No key sets it: tests and benchmarks do.
	ExtentFrom      int64
	Strict          bool
	MaxRequestBatch int
	Encryption      EncryptionConfig
	// Compression of streams whose own is none.
	Compression atrest.Compression
	// MaxAckPending bounds that of consumers; 0 or less: no bound.
	MaxAckPending   int
	DuplicateWindow time.Duration
	// Batches bound batches that are published.
	Batches stream.BatchLimits
}

// HTTPConfig is where monitoring listens. Port 0 is nowhere.
type HTTPConfig struct {
	Host      string
	HostNamed bool // Host was configured; else it is that of clients
	Port      int  // -1: a free one
	Named     bool // Port was configured
	BasePath  string
}

// LogConfig says what is logged where.
type LogConfig struct {
	Debug, Trace bool
	NoTime, UTC  bool // without a time; with the time in UTC
	File         string
	Format       string // "text" or "json"
}

// Defaults.
const (
	defaultPort     = 4222
	defaultHTTPPort = 8222
	defaultStoreDir = "weir-data"
	loopback        = "127.0.0.1"
	anywhere        = "0.0.0.0"
)

// defaultConfig is the configuration of which nothing was said.
func defaultConfig() *Config {
	return &Config{
		Port: defaultPort, MaxPayload: 1 << 20, MaxPending: 64 << 20, MaxControlLine: 4096, MaxConnections: 65536,
		MaxClosed: 10000, PingInterval: 2 * time.Minute, PingMax: 2, WriteDeadline: 10 * time.Second,
		LameDuckDuration: 2 * time.Minute, LameDuckGrace: 10 * time.Second,
		SystemAccount: "$SYS",
		Auth:          AuthConfig{Timeout: 2 * time.Second},
		JetStream:     defaultJetStream(),
		Stan:          defaultStan(),
		Liftbridge:    defaultLiftbridge(),
		HTTP:          HTTPConfig{BasePath: ""},
		Log:           LogConfig{Format: "text"},
	}
}

func defaultJetStream() JetStreamConfig {
	return JetStreamConfig{
		MaxMemory: -1, MaxFile: -1, Strict: true, StoreDir: defaultStoreDir,
		ScrubRate: defaultScrubRate, ScrubInterval: defaultScrubInterval, ReclaimRate: defaultReclaimRate,
	}
}

// authenticates says whether anything is configured about who may come in.
func (c *Config) authenticates() bool {
	if c.Auth.User != "" || c.Auth.Token != "" || len(c.Auth.Users) > 0 {
		return true
	}
	for _, a := range c.Accounts {
		if len(a.Users) > 0 {
			return true
		}
	}
	return false
}

// settle fills in what depends on other settings.
func (c *Config) settle() {
	if c.Host == "" {
		c.Host = anywhere
		if !c.authenticates() {
			c.Host = loopback
		}
	}
	if c.File == "" {
		if !c.JetStream.Named {
			c.JetStream.Enabled = true
		}
		if !c.HTTP.Named && c.Stan.Remote.Servers == "" {
			c.HTTP.Host, c.HTTP.Port = loopback, defaultHTTPPort
		}
	}
	if c.Stan.Dir != "" && c.JetStream.StoreDir == defaultStoreDir {
		c.JetStream.StoreDir = c.Stan.Dir
	}
	c.settleRemote()
	c.settleStanEncryption()
	c.settleLiftbridge()
	c.settleLeaf()
	if c.HTTP.Host == "" {
		c.HTTP.Host = c.Host
	}
	if c.TLS.Named && !c.Auth.timeoutNamed {
		c.Auth.Timeout = c.TLS.Timeout + time.Second // credentials come behind the handshake
	}
}
