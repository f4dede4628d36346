package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newObjectRm(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "rm STORE [NAME]",
		Aliases: []string{"del", "delete"},
		Short:   "Remove an object, or a store with all it holds",
		Long:    "Removes the object NAME, or without NAME the whole store. It asks first; --force does not.",
		Example: "  weir object rm FILES report.pdf\n  weir object rm FILES --force",
		Args:    arguments(1, 2),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return a.removeStore(cmd, args[0], force)
		}
		if err := a.confirm(cmd, force, "Remove object "+args[1]+" of store "+args[0]); err != nil {
			return err
		}
		return a.withStore(cmd, args[0], func(ctx context.Context, obs jetstream.ObjectStore) error {
			if err := obs.Delete(ctx, args[1]); err != nil {
				return fmt.Errorf("remove object %s of store %s: %w", args[1], args[0], err)
			}
			return a.done(map[string]any{"store": args[0], "removed": args[1]}, "Removed object %s of store %s", args[1], args[0])
		})
	}
	return cmd
}

func (a *app) removeStore(cmd *cobra.Command, name string, force bool) error {
	if err := a.confirm(cmd, force, "Remove object store "+name+" and all it holds"); err != nil {
		return err
	}
	return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
		if err := js.DeleteObjectStore(ctx, name); err != nil {
			return fmt.Errorf("remove object store %s: %w", name, err)
		}
		return a.done(map[string]any{"removed": name}, "Removed object store %s", name)
	})
}

func newObjectSeal(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "seal STORE",
		Short:   "Let nothing change in a store any more",
		Long:    "Seals a store, for good: objects can be read, and none can be stored, replaced or removed any more. It asks first; --force does not.",
		Example: "  weir object seal ARCHIVE\n  weir object seal ARCHIVE --force",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.confirm(cmd, force, "Seal object store "+args[0]+" for good"); err != nil {
			return err
		}
		return a.withStore(cmd, args[0], func(ctx context.Context, obs jetstream.ObjectStore) error {
			if err := obs.Seal(ctx); err != nil {
				return fmt.Errorf("seal object store %s: %w", args[0], err)
			}
			return a.done(map[string]any{"sealed": args[0]}, "Sealed object store %s", args[0])
		})
	}
	return cmd
}

func newObjectWatch(a *app) *cobra.Command {
	var f kvWatchFlags
	cmd := &cobra.Command{
		Use:   "watch STORE",
		Short: "Print changes of objects as they come",
		Long: `Prints the objects of a store, and then each one that is stored or removed as it
comes, until it is interrupted. --updates begins with nothing, --end stops where the
new ones would begin.

With --count the exit status is 1 when fewer changes came.`,
		Example: "  weir object watch FILES\n  weir object watch FILES --updates --json\n  weir object watch FILES --updates --count 1 --wait 5m",
		Args:    arguments(1, 1),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.updates, "updates", false, "print only what changes from now on")
	flags.BoolVar(&f.noDeletes, "no-deletes", false, "leave removals out")
	flags.BoolVar(&f.end, "end", false, "stop when everything that is there was printed")
	flags.Uint64Var(&f.count, "count", 0, "stop after this many changes")
	flags.Var(&f.wait, "wait", "stop when no change came for this long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.updates && f.end {
			return usagef(cmd, "--updates excludes --end")
		}
		return a.withLiveStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			obs, err := openStore(ctx, js, args[0])
			if err != nil {
				return err
			}
			w, err := obs.Watch(ctx, f.options()...)
			if err != nil {
				return fmt.Errorf("watch object store %s: %w", args[0], err)
			}
			return errors.Join(a.watch(ctx, objectChanges(w), &f), stopped(ctx, w))
		})
	}
	return cmd
}

// objectChanges turns what a watch tells into lines; nil stands for the end of what
// was there.
func objectChanges(w jetstream.ObjectWatcher) func(context.Context, <-chan time.Time) (*change, error) {
	return func(ctx context.Context, idle <-chan time.Time) (*change, error) {
		o, err := nextUpdate(ctx, w.Updates(), idle)
		if err != nil || o == nil {
			return nil, err
		}
		return &change{
			text: func(bold func(string) string) string {
				if o.Deleted {
					return fmt.Sprintf("%s  rm   %s", when(o.ModTime), bold(o.Name))
				}
				return fmt.Sprintf("%s  put  %s  %s", when(o.ModTime), bold(o.Name), humanBytes(o.Size))
			},
			json: o,
		}, nil
	}
}
