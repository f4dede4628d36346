package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamAdd(a *app) *cobra.Command {
	var f streamFlags
	cmd := &cobra.Command{
		Use:     "add NAME [SUBJECT...]",
		Aliases: []string{"create"},
		Short:   "Make a stream",
		Long: `Makes a stream that keeps what is published to the given subjects. It asks
nothing: what no flag says has its default, and there are no limits until one is
set. Making the same stream again changes nothing.`,
		Example: `  weir stream add ORDERS 'orders.>'
  weir stream add LOGS 'logs.>' --max-bytes 10GB --max-age 7d
  weir stream add STATE 'state.*' --max-msgs-per-subject 1
  weir stream add JOBS jobs --discard new --max-msgs 100000 --storage memory`,
		Args: arguments(1, -1),
	}
	f.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.subjects = append(args[1:], f.subjects...)
		if len(f.subjects) == 0 {
			return usagef(cmd, "say which subjects the stream keeps, such as: weir stream add %s '%s.>'", args[0], args[0])
		}
		c := jetstream.StreamConfig{Name: args[0]}
		if err := f.apply(cmd, &c, false); err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.CreateStream(ctx, c)
			if err != nil {
				return fmt.Errorf("make stream %s: %w", c.Name, err)
			}
			return a.showStream(s.CachedInfo())
		})
	}
	return cmd
}
