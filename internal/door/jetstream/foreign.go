package jetstream

import (
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// metaDialect is the key under which a consumer of another door names its protocol.
const metaDialect = "weir.dialect"

// foreignConfig shows a consumer of another door as one that delivers by itself: it
// can be looked at, reset and deleted, but not read from or changed.
func foreignConfig(c *stream.Consumer) *wire.ConsumerConfig {
	cfg := c.Config()
	out := &wire.ConsumerConfig{
		Name: c.Name(), Durable: c.Name(), AckPolicy: wire.AckExplicit, AckWait: cfg.Core.AckWait, MaxDeliver: -1,
		DeliverSubject: "$WEIR." + cfg.Dialect, DeliverPolicy: wire.DeliverByStartSequence, OptStartSeq: cfg.Start, Replicas: 1,
		Metadata: map[string]string{metaDialect: cfg.Dialect},
	}
	if s := cfg.Core.Spread; s != nil {
		for _, m := range s.Members {
			out.AckWait = max(out.AckWait, m.AckWait)
			out.MaxAckPending += m.MaxPending
		}
	}
	return out
}

// foreign says whether a consumer is another door's.
func foreign(c *stream.Consumer) bool { return c.Config().Dialect != "" }
