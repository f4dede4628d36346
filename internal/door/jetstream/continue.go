package jetstream

import (
	"slices"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// continued gives the position of the consumer that a new one continues; nil: it
// continues none. The other one may be of any door, and stays as it is. What it has not
// acknowledged the new one delivers again, first; what it acknowledges from now on, too.
func (c *call) continued(s *stream.Stream, cfg *wire.ConsumerConfig, n *stream.ConsumerConfig) (*consumer.State, *wire.Error) {
	name := cfg.Continues()
	if name == "" {
		return nil, nil
	}
	refused := func(text string) (*consumer.State, *wire.Error) {
		return nil, wire.ErrWith(wire.CodeConsumerCreate, "err", text)
	}
	from := s.Consumer(name)
	if from == nil {
		return refused("consumer to continue not found")
	}
	was := from.Config()
	if !slices.Equal(n.Filter, was.Filter) || was.LastPerSubject {
		return refused("consumer does not read what the one that it continues does")
	}
	if !from.WantsAcks() {
		return refused("consumer to continue is not acknowledged")
	}
	at, err := from.Position(c.ctx)
	if err != nil {
		return nil, c.failed(wire.CodeConsumerCreate, err)
	}
	n.Start = at.Floor.Stream + 1
	return &at, nil
}
