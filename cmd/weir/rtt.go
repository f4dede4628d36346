package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

func newRTT(a *app) *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:     "rtt",
		GroupID: groupMessages,
		Short:   "Measure the round trip to the server",
		Long:    "Connects, sends PING and waits for PONG, --count times, and prints the fastest, middle and slowest round trip.",
		Example: "  weir rtt\n  weir rtt --count 100 --json",
		Args:    arguments(0, 0),
	}
	cmd.Flags().IntVar(&count, "count", 5, "number of round trips")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if count < 1 {
			return usagef(cmd, "--count is at least 1")
		}
		return a.rtt(count)
	}
	return cmd
}

func (a *app) rtt(count int) error {
	start := time.Now()
	nc, err := a.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	connected := time.Since(start)
	trips := make([]time.Duration, count)
	for i := range trips {
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
	_, err = fmt.Fprintf(a.out, "%s  round trip min %v, median %v, max %v (%d); connected in %v\n",
		nc.ConnectedUrlRedacted(), low, middle, high, count, connected.Round(time.Microsecond))
	return err
}
