package stan

import (
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/subject"
)

// Options for New. Zero values are the protocol's defaults where nothing else is said.
type Options struct {
	Cluster  string
	Discover string // prefix of the subject of discovery
	// ServerID names the server to those who monitor it.
	ServerID string
	Version  string
	// Memory keeps channels in memory: they, and the clients, end with the process.
	Memory bool
	Limits Limits
	// HeartbeatInterval is between a client's answer and the next question,
	// HeartbeatTimeout how long the answer may take. A client that misses more than
	// HeartbeatFails in a row is closed.
	HeartbeatInterval, HeartbeatTimeout time.Duration
	HeartbeatFails                      int
	// ReplaceDurable lets a client resume a durable that is in use by itself.
	ReplaceDurable bool
	// Capture are patterns of the channels that capture what is published on the
	// subject of their name; Republish those that publish there what is stored. A
	// channel that captures does not publish.
	Capture, Republish []string
	// Network is where clients are; nil: in the account's space.
	Network Network
	Log     *slog.Logger
}

func (o *Options) fill() {
	set(&o.HeartbeatInterval, 30*time.Second)
	set(&o.HeartbeatTimeout, 10*time.Second)
	if o.Cluster == "" {
		o.Cluster = "test-cluster"
	}
}

func set[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// DefaultFails is how many heartbeats in a row a client may miss.
const DefaultFails = 10

// ChannelLimits bound one channel. 0 is no limit where they are in force; in a
// configuration for a pattern it stands for what the wider one says, a negative
// number for none.
type ChannelLimits struct {
	MaxSubs       int
	MaxMsgs       int64
	MaxBytes      int64
	MaxAge        time.Duration
	MaxInactivity time.Duration
}

// Limits are those of a server.
type Limits struct {
	MaxChannels int // 0: none
	ChannelLimits
	// Channels has limits by name or pattern.
	Channels map[string]ChannelLimits
}

// DefaultLimits are those of a server that is not configured otherwise.
func DefaultLimits() Limits {
	return Limits{MaxChannels: 100, ChannelLimits: ChannelLimits{MaxSubs: 1000, MaxMsgs: 1_000_000, MaxBytes: 1_024_000_000}}
}

// Of gives the limits of a channel, or of those that a pattern stands for: each from the
// narrowest pattern that says something about all of it.
func (l *Limits) Of(channel string) ChannelLimits {
	out := l.ChannelLimits
	for _, p := range l.matching(channel) {
		c := l.Channels[p]
		narrow(&out.MaxSubs, c.MaxSubs)
		narrow(&out.MaxMsgs, c.MaxMsgs)
		narrow(&out.MaxBytes, c.MaxBytes)
		narrow(&out.MaxAge, c.MaxAge)
		narrow(&out.MaxInactivity, c.MaxInactivity)
	}
	return out
}

func narrow[T int | int64 | time.Duration](to *T, v T) {
	switch {
	case v > 0:
		*to = v
	case v < 0:
		*to = 0
	}
}

// matching lists the patterns for a channel, the widest first.
func (l *Limits) matching(channel string) []string {
	var out []string
	for p := range l.Channels {
		if p == channel || subject.Contains(p, channel) {
			out = append(out, p)
		}
	}
	sortWidestFirst(out)
	return out
}
