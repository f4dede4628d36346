package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

type kvWatchFlags struct {
	history, updates, noDeletes, end bool
	count                            uint64
	wait                             durationFlag
}

func newKVWatch(a *app) *cobra.Command {
	var f kvWatchFlags
	cmd := &cobra.Command{
		Use:   "watch BUCKET [FILTER...]",
		Short: "Print changes of keys as they come",
		Long: `Prints the newest value of each key, and then each change as it comes, until it is
interrupted. FILTER chooses keys, with * for one part between dots and > for all that
follow. --history begins with all values that the bucket keeps, --updates with
nothing, and --end stops where the new ones would begin.

With --count the exit status is 1 when fewer changes came.`,
		Example: "  weir kv watch CONFIG\n  weir kv watch CONFIG 'eu.>' --updates --json\n  weir kv watch CONFIG --end\n  weir kv watch JOBS 'done.*' --updates --count 1 --wait 5m",
		Args:    arguments(1, -1),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.history, "history", false, "begin with all values that are kept, not only the newest")
	flags.BoolVar(&f.updates, "updates", false, "print only what changes from now on")
	flags.BoolVar(&f.noDeletes, "no-deletes", false, "leave deletions out")
	flags.BoolVar(&f.end, "end", false, "stop when everything that is there was printed")
	flags.Uint64Var(&f.count, "count", 0, "stop after this many changes")
	flags.Var(&f.wait, "wait", "stop when no change came for this long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.updates && (f.history || f.end) {
			return usagef(cmd, "--updates excludes --history and --end")
		}
		return a.withLiveStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			kv, err := openBucket(ctx, js, args[0])
			if err != nil {
				return err
			}
			w, err := kv.WatchFiltered(ctx, orAll(args[1:]), f.options()...)
			if err != nil {
				return fmt.Errorf("watch bucket %s: %w", args[0], err)
			}
			return errors.Join(a.watch(ctx, changes(w), &f), stopped(ctx, w))
		})
	}
	return cmd
}

func orAll(filters []string) []string {
	if len(filters) == 0 {
		return []string{">"}
	}
	return filters
}

func (f *kvWatchFlags) options() []jetstream.WatchOpt {
	var opts []jetstream.WatchOpt
	if f.history {
		opts = append(opts, jetstream.IncludeHistory())
	}
	if f.updates {
		opts = append(opts, jetstream.UpdatesOnly())
	}
	if f.noDeletes {
		opts = append(opts, jetstream.IgnoreDeletes())
	}
	return opts
}

// stopped ends a watch, unless the connection has.
func stopped(ctx context.Context, w interface{ Stop() error }) error {
	if ctx.Err() != nil {
		return nil
	}
	return w.Stop()
}

// change is one line of a watch.
type change struct {
	text func(bold func(string) string) string
	json any
}

// changes turns entries into lines; nil stands for the end of what was there.
func changes(w jetstream.KeyWatcher) func(context.Context, <-chan time.Time) (*change, error) {
	return func(ctx context.Context, idle <-chan time.Time) (*change, error) {
		e, err := nextUpdate(ctx, w.Updates(), idle)
		if err != nil || e == nil {
			return nil, err
		}
		return &change{
			text: func(bold func(string) string) string {
				head := fmt.Sprintf("%s  %-5s %s #%d", when(e.Created()), operation(e), bold(e.Key()), e.Revision())
				if e.Operation() != jetstream.KeyValuePut {
					return head
				}
				return head + "  " + oneLine(e.Value(), 120)
			},
			json: entryOf(e),
		}, nil
	}
}

// nextUpdate waits for what a watch tells.
func nextUpdate[T any](ctx context.Context, updates <-chan T, idle <-chan time.Time) (T, error) {
	var none T
	select {
	case u, more := <-updates:
		if !more {
			return none, errLost
		}
		return u, nil
	case <-idle:
		return none, errIdle
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// watch prints changes until something ends it.
func (a *app) watch(ctx context.Context, next func(context.Context, <-chan time.Time) (*change, error), f *kvWatchFlags) error {
	var n uint64
	for f.count == 0 || n < f.count {
		c, err := a.waitChange(ctx, next, f)
		if err == nil && c == nil {
			if f.end {
				break
			}
			continue
		}
		if errors.Is(err, errIdle) || errors.Is(err, context.Canceled) && ctx.Err() != nil {
			break
		}
		if err == nil {
			err = a.printChange(c)
		}
		if err != nil {
			return err
		}
		n++
	}
	if n < f.count {
		return fmt.Errorf("%d of %s came", n, plural(f.count, "change", "changes"))
	}
	return nil
}

func (a *app) waitChange(ctx context.Context, next func(context.Context, <-chan time.Time) (*change, error), f *kvWatchFlags) (*change, error) {
	if f.wait <= 0 {
		return next(ctx, nil)
	}
	t := time.NewTimer(time.Duration(f.wait))
	defer t.Stop()
	return next(ctx, t.C)
}

func (a *app) printChange(c *change) error {
	if !a.asJSON {
		_, err := io.WriteString(a.out, c.text(a.bold)+"\n")
		return err
	}
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c.json); err != nil {
		return fmt.Errorf("write change: %w", err)
	}
	return nil
}
