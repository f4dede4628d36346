package stream

import (
	"context"
	"fmt"

	"github.com/weirmq/weir/internal/consumer"
)

// CreateConsumerAt is CreateConsumer with a position that another server has told of.
// It must be one that DecodeState reads; nil: where the configuration says.
func (s *Stream) CreateConsumerAt(ctx context.Context, cfg ConsumerConfig, at *consumer.State) (*Consumer, error) {
	if at == nil {
		return s.CreateConsumer(ctx, cfg)
	}
	state := consumer.AppendState(nil, at)
	if _, err := consumer.DecodeState(state); err != nil {
		return nil, fmt.Errorf("position of consumer %q: %w", cfg.Name, err)
	}
	return s.createConsumer(ctx, cfg, state)
}

// Position asks the shard where the consumer stands, in the terms of CreateConsumerAt:
// what it has not acknowledged counts as overdue, and is nobody's. ErrNotFound: it was
// deleted.
func (c *Consumer) Position(ctx context.Context) (consumer.State, error) {
	var at consumer.State
	if err := c.ask(ctx, func(int64) { at = c.core.State() }); err != nil {
		return consumer.State{}, err
	}
	at.Serial = 0
	for i := range at.Pending {
		at.Pending[i].Time, at.Pending[i].Member = 0, 0
	}
	return at, nil
}
