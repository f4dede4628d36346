package redial

import (
	"context"
	"errors"
	"time"
)

// First gives the connection to the first server that dial reaches. The error joins what
// dial said of each; no further one is tried once ctx has ended.
func First[S, C any](ctx context.Context, servers []S, dial func(context.Context, *S) (C, error)) (C, error) {
	var errs []error
	for i := range servers {
		c, err := dial(ctx, &servers[i])
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	var none C
	return none, errors.Join(errs...)
}

// Rest waits; false says that ctx has ended.
func Rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
