package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newConsumerRm(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "rm STREAM NAME",
		Aliases: []string{"delete"},
		Short:   "Remove a consumer",
		Long:    "Removes a consumer and its position. The stream's messages stay. It asks first; --force does not.",
		Example: "  weir consumer rm ORDERS billing\n  weir consumer rm ORDERS billing --force",
		Args:    arguments(2, 2),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.confirm(cmd, force, "Remove consumer "+args[1]+" of stream "+args[0]); err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteConsumer(ctx, args[0], args[1]); err != nil {
				return fmt.Errorf("remove consumer %s of stream %s: %w", args[1], args[0], err)
			}
			return a.done(map[string]any{"removed": args[1], "stream": args[0]}, "Removed consumer %s of stream %s", args[1], args[0])
		})
	}
	return cmd
}
