package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamPurge(a *app) *cobra.Command {
	var force bool
	var subject string
	var before, keep uint64
	cmd := &cobra.Command{
		Use:   "purge NAME",
		Short: "Remove a stream's messages, keep the stream",
		Long: `Removes all messages of a stream, or those of --subject, before a sequence
(--before) or all but the newest (--keep). Sequences go on where they were. It
asks first; --force does not.`,
		Example: "  weir stream purge ORDERS\n  weir stream purge ORDERS --subject 'orders.test.>' --force\n  weir stream purge ORDERS --keep 1000 --force",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.Flags().StringVar(&subject, "subject", "", "only messages of `subjects` like this")
	cmd.Flags().Uint64Var(&before, "before", 0, "only messages before this `sequence`")
	cmd.Flags().Uint64Var(&keep, "keep", 0, "keep this many of the newest")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if before > 0 && keep > 0 {
			return usagef(cmd, "--before and --keep exclude each other")
		}
		if err := a.confirm(cmd, force, "Purge stream "+args[0]); err != nil {
			return err
		}
		var opts []jetstream.StreamPurgeOpt
		if subject != "" {
			opts = append(opts, jetstream.WithPurgeSubject(subject))
		}
		if before > 0 {
			opts = append(opts, jetstream.WithPurgeSequence(before))
		}
		if keep > 0 {
			opts = append(opts, jetstream.WithPurgeKeep(keep))
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			return a.purge(ctx, js, args[0], opts)
		})
	}
	return cmd
}

// purge removes messages and says how many are left.
func (a *app) purge(ctx context.Context, js jetstream.JetStream, name string, opts []jetstream.StreamPurgeOpt) error {
	s, err := openStream(ctx, js, name)
	if err != nil {
		return err
	}
	before := s.CachedInfo().State.Msgs
	if err := s.Purge(ctx, opts...); err != nil {
		return fmt.Errorf("purge stream %s: %w", name, err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		return fmt.Errorf("look at stream %s after the purge: %w", name, err)
	}
	left := info.State.Msgs
	return a.done(map[string]any{"stream": name, "before": before, "left": left},
		"Purged stream %s: %s before, %s left", name, plural(before, "message", "messages"), thousands(left))
}
