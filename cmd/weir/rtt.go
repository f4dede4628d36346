package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

func newRTT(a *app) *cobra.Command {
	var count int
	var wait durationFlag
	cmd := &cobra.Command{
		Use:     "rtt",
		GroupID: groupMessages,
		Short:   "Measure the round trip to the server",
		Long: `Connects, sends PING and waits for PONG, --count times, and prints the fastest,
middle and slowest round trip. --wait tries again until a server answers, which
is how a script waits for one that it has just started.`,
		Example: "  weir rtt\n  weir rtt --count 100 --json\n  weir rtt --wait 10s",
		Args:    arguments(0, 0),
	}
	cmd.Flags().IntVar(&count, "count", 5, "number of round trips")
	cmd.Flags().Var(&wait, "wait", "wait this long for a server to answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if count < 1 {
			return usagef(cmd, "--count is at least 1")
		}
		nc, took, err := a.connectWithin(cmd.Context(), time.Duration(wait))
		if err != nil {
			return err
		}
		defer nc.Close()
		return a.rtt(nc, took, count)
	}
	return cmd
}

// connectWithin connects, trying again for as long as wait when no server is
// there; it says how long the connection that came about took.
func (a *app) connectWithin(ctx context.Context, wait time.Duration) (*nats.Conn, time.Duration, error) {
	for end := time.Now().Add(wait); ; pause(ctx, 50*time.Millisecond) {
		start := time.Now()
		nc, err := a.connect()
		if err == nil {
			return nc, time.Since(start), nil
		}
		if ctx.Err() != nil || time.Now().After(end) || !errors.Is(err, nats.ErrNoServers) {
			return nil, 0, err
		}
	}
}

// rtt measures round trips and prints them.
func (a *app) rtt(nc *nats.Conn, connected time.Duration, count int) error {
	trips := make([]time.Duration, count)
	for i := range trips {
		var err error
		if trips[i], err = nc.RTT(); err != nil {
			return fmt.Errorf("measure round trip: %w", err)
		}
	}
	slices.Sort(trips)
	low, middle, high := trips[0], trips[count/2], trips[count-1]
	if a.asJSON {
		return a.printJSON(map[string]any{
			"server": nc.ConnectedUrlRedacted(), "count": count, "connect_ns": connected,
			"min_ns": low, "median_ns": middle, "max_ns": high,
		})
	}
	_, err := fmt.Fprintf(a.out, "%s  round trip min %v, median %v, max %v (%d); connected in %v\n",
		nc.ConnectedUrlRedacted(), low, middle, high, count, connected.Round(time.Microsecond))
	return err
}
