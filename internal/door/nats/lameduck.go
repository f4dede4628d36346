package nats

import (
	"context"
	"math/rand/v2"
	"time"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

// LameDuck stops listening, tells the clients to go elsewhere, waits for grace
// and closes them one by one, spread over the rest of duration. It returns when
// none is left or ctx ends.
func (d *Door) LameDuck(ctx context.Context, grace, duration time.Duration) error {
	d.mu.Lock()
	d.lameDuck = true
	d.mu.Unlock()
	d.StopListening()
	d.UpdateInfo(func(info *wire.Info) { info.LameDuck = true }, true)
	if err := pause(ctx, grace); err != nil {
		return err
	}
	conns := d.all()
	if len(conns) == 0 {
		return nil
	}
	step := min(max(duration-grace, 0)/time.Duration(len(conns)), time.Second)
	for _, c := range conns {
		c.close(errShutdown)
		wait := step / 2
		if step > 1 {
			wait += rand.N(step / 2)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
