package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamRm(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"delete"},
		Short:   "Remove a stream with all it holds",
		Long:    "Removes a stream, its messages and its consumers. It asks first; --force does not.",
		Example: "  weir stream rm ORDERS\n  weir stream rm ORDERS --force",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.confirm(cmd, force, "Remove stream "+args[0]+" and all it holds"); err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteStream(ctx, args[0]); err != nil {
				return fmt.Errorf("remove stream %s: %w", args[0], err)
			}
			return a.done(map[string]any{"removed": args[0]}, "Removed stream %s", args[0])
		})
	}
	return cmd
}

// done says what was done: text for people, v for programs.
func (a *app) done(v any, format string, args ...any) error {
	if a.asJSON {
		return a.printJSON(v)
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}
