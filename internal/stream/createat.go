package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/consumer"
)

// CreateConsumerAt is CreateConsumer with a position that another server has told of.
// It must be one that DecodeState reads.
func (s *Stream) CreateConsumerAt(ctx context.Context, cfg ConsumerConfig, at *consumer.State) (*Consumer, error) {
	if _, err := s.openConsumer(&cfg); err != nil {
		return nil, err
	}
	state := consumer.AppendState(nil, at)
	if _, err := consumer.DecodeState(state); err != nil {
		return nil, fmt.Errorf("position of consumer %q: %w", cfg.Name, err)
	}
	done, err := s.reserveConsumer(ctx, cfg.Name)
	if err != nil {
		return nil, err
	}
	defer done()
	s.mu.Lock()
	s.nextID++
	id := s.nextID
	s.mu.Unlock()
	return s.setConsumer(ctx, consumerSpec{ID: id, Created: time.Now().UnixNano(), Config: cfg, State: state})
}
