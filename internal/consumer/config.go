package consumer

import "time"

// AckPolicy says what a client acknowledges.
type AckPolicy uint8

const (
	// AckExplicit: each message by itself.
	AckExplicit AckPolicy = iota
	// AckAll: an acknowledgement covers everything delivered up to it.
	AckAll
	// AckNone: a message is done when it is delivered.
	AckNone
)

// DefaultAckWait holds where AckWait is not positive.
const DefaultAckWait = 30 * time.Second

// DefaultMaxWaiting holds where MaxWaiting is not positive.
const DefaultMaxWaiting = 512

// Config is what a consumer was asked to be. It is checked by whoever makes it.
type Config struct {
	// AckPolicy cannot be changed by Update.
	AckPolicy AckPolicy
	// AckWait is the time to acknowledge a delivery. Backoff overrides it.
	AckWait time.Duration
	// Backoff gives the wait after the first, second, … delivery; the last one
	// repeats. Empty: AckWait.
	Backoff []time.Duration
	// MaxDeliver bounds the deliveries of one message. Not positive: no bound.
	MaxDeliver int
	// MaxAckPending bounds the unacknowledged messages. While it is reached nothing
	// new is delivered. Not positive: no bound.
	MaxAckPending int
	// MaxWaiting bounds the pull requests that wait.
	MaxWaiting int
	// MaxBatch, MaxBytes and MaxExpires bound what a request may ask for. Not
	// positive: no bound.
	MaxBatch, MaxBytes int
	MaxExpires         time.Duration
	// InactiveThreshold is the time without use after which Output.Inactive is
	// set. Not positive: never. The caller adds its jitter.
	InactiveThreshold time.Duration
	// Push makes the consumer send by itself; nil: it answers requests.
	Push *Push `json:",omitempty"`
	// Spread makes the consumer send by itself to several; nil: it does not.
	Spread *Spread `json:",omitempty"`
	// ReplayOriginal leaves as much time between messages as lay between them when
	// they were stored, up to the sequence that Replay was told.
	ReplayOriginal bool `json:",omitempty"`
	// PauseUntil is a time, Unix nanoseconds, until which nothing is delivered.
	PauseUntil int64 `json:",omitempty"`
	// Priority chooses between requests; nil: they take turns.
	Priority *Priority `json:",omitempty"`
	// Sample is how many of a hundred acknowledgements give an advisory.
	Sample int `json:",omitempty"`
	// NewPin makes the mark of a client that is pinned, each a new one. nil: nobody is
	// pinned.
	NewPin func() string `json:"-"`
	// AckReplyLen gives the length of the acknowledgement subject that the delivery
	// will carry, for requests with a bound in bytes. The delivery is borrowed.
	// nil: 0.
	AckReplyLen func(*Delivery) int `json:"-"`
}

// Push says where a consumer sends by itself, and how fast.
type Push struct {
	// Subject gets the messages and statuses.
	Subject string
	// Group is the queue group that has to listen there; empty: plain subscriptions.
	// It is for whoever calls Bound.
	Group string `json:",omitempty"`
	// FlowControl has the client asked, now and then, whether it has read what was
	// sent. Only so much is sent before it answers.
	FlowControl bool `json:",omitempty"`
	// FlowAcks says that the answers acknowledge what was sent, so that the client is
	// asked before MaxAckPending is reached and while nothing is sent. The policy is
	// AckAll then, and whoever calls FlowAnswered calls Ack before.
	FlowAcks bool `json:",omitempty"`
	// Heartbeat is the interval of a status while nothing is sent; not positive:
	// none.
	Heartbeat time.Duration `json:",omitempty"`
	// RateLimit bounds what is sent, in bits a second; 0: no bound.
	RateLimit uint64 `json:",omitempty"`
}

// waits gives the acknowledgement waits in nanoseconds, by number of deliveries;
// never empty.
func (c *Config) waits() []int64 {
	if len(c.Backoff) == 0 {
		if c.AckWait <= 0 {
			return []int64{int64(DefaultAckWait)}
		}
		return []int64{min(int64(c.AckWait), maxDelay)}
	}
	out := make([]int64, len(c.Backoff))
	for i, d := range c.Backoff {
		out[i] = min(max(int64(d), 1), maxDelay)
	}
	return out
}

func (c *Config) maxWaiting() int {
	if c.MaxWaiting <= 0 {
		return DefaultMaxWaiting
	}
	return c.MaxWaiting
}
