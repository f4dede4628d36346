package redial

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestServersAreTriedInTurnUntilOneIsReached(t *testing.T) {
	down := errors.New("down")
	var tried []string
	dial := func(_ context.Context, s *string) (int, error) {
		if tried = append(tried, *s); *s == "up" {
			return 7, nil
		}
		return 0, down
	}
	if c, err := First(t.Context(), []string{"a", "up", "b"}, dial); c != 7 || err != nil || !slices.Equal(tried, []string{"a", "up"}) {
		t.Errorf("%d, %v, tried %v", c, err, tried)
	}
	tried = nil
	if _, err := First(t.Context(), []string{"a", "b"}, dial); !errors.Is(err, down) || len(tried) != 2 {
		t.Errorf("%v, tried %v", err, tried)
	}
}

func TestNoFurtherServerIsTriedAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tried := 0
	_, err := First(ctx, []int{1, 2}, func(ctx context.Context, _ *int) (int, error) {
		tried++
		cancel()
		return 0, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) || tried != 1 {
		t.Errorf("%v after %d tries", err, tried)
	}
}

func TestARestEndsWithItsTimeOrItsContext(t *testing.T) {
	if !Rest(t.Context(), time.Nanosecond) {
		t.Error("a short rest was cut off")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if Rest(ctx, time.Hour) {
		t.Error("a rest outlived its context")
	}
}
