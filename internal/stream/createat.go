package stream

import (
	"context"
	"fmt"

	"github.com/weirmq/weir/internal/consumer"
)

// CreateConsumerAt is CreateConsumer with a position that another server has told of.
// It must be one that DecodeState reads.
func (s *Stream) CreateConsumerAt(ctx context.Context, cfg ConsumerConfig, at *consumer.State) (*Consumer, error) {
	state := consumer.AppendState(nil, at)
	if _, err := consumer.DecodeState(state); err != nil {
		return nil, fmt.Errorf("position of consumer %q: %w", cfg.Name, err)
	}
	return s.createConsumer(ctx, cfg, state)
}
