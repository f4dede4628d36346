package nats

import (
	"time"

	"github.com/weirmq/weir/internal/outbox"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// Limits bound connections. A zero field stands for its default.
type Limits struct {
	MaxConnections   int           // 65,536; negative: none is let in
	MaxSubscriptions int           // of a connection; 0: unlimited
	MaxSubTokens     int           // of a subscription's subject; 0: unlimited
	MaxControlLine   int           // bytes behind a verb; 4,096
	MaxPayload       int           // bytes of header block and data; 1 MiB
	MaxPending       int64         // bytes that wait for a client; 64 MiB
	MaxClosed        int           // closed connections remembered; 10,000; negative: none
	PingInterval     time.Duration // 2 min
	PingMax          int           // pings without an answer; 2
	WriteDeadline    time.Duration // 10 s
	AuthTimeout      time.Duration // 2 s
	IngestStall      time.Duration // how long a reader waits for a full stream; 1 s; negative: not at all
}

func (l Limits) withDefaults() Limits {
	or(&l.MaxConnections, 65536)
	or(&l.MaxControlLine, wire.DefaultMaxControlLine)
	or(&l.MaxPayload, wire.DefaultMaxPayload)
	or(&l.MaxPending, 64<<20)
	or(&l.MaxClosed, 10000)
	or(&l.PingInterval, 2*time.Minute)
	or(&l.PingMax, 2)
	or(&l.WriteDeadline, 10*time.Second)
	or(&l.AuthTimeout, 2*time.Second)
	or(&l.IngestStall, time.Second)
	return l
}

func or[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (l *Limits) outbox() outbox.Limits {
	return outbox.Limits{MaxPending: l.MaxPending, WriteDeadline: l.WriteDeadline}
}
