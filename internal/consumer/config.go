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
	// AckReplyLen gives the length of the acknowledgement subject that the delivery
	// will carry, for requests with a bound in bytes. The delivery is borrowed.
	// nil: 0.
	AckReplyLen func(*Delivery) int `json:"-"`
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
