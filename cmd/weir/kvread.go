package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newKVGet(a *app) *cobra.Command {
	var revision uint64
	var raw bool
	cmd := &cobra.Command{
		Use:   "get BUCKET KEY",
		Short: "Print the value of a key",
		Long: `Prints the newest value of a key, or that of an earlier --revision, under a line
that says which it is. --raw prints the bytes of the value and nothing else, not
even a line's end. The exit status is 1 when there is no value.`,
		Example: "  weir kv get CONFIG greeting\n  weir kv get CONFIG logo --raw > logo.png\n  weir kv get CONFIG greeting --revision 12 --json",
		Args:    arguments(2, 2),
	}
	cmd.Flags().Uint64Var(&revision, "revision", 0, "the value as of this revision")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the value only, as it is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withBucket(cmd, args[0], func(ctx context.Context, kv jetstream.KeyValue) error {
			e, err := getEntry(ctx, kv, args[1], revision)
			if err != nil {
				return err
			}
			return a.showEntry(e, raw)
		})
	}
	return cmd
}

// getEntry reads the newest value of a key, or that of a revision.
func getEntry(ctx context.Context, kv jetstream.KeyValue, key string, revision uint64) (jetstream.KeyValueEntry, error) {
	var e jetstream.KeyValueEntry
	var err error
	if revision > 0 {
		e, err = kv.GetRevision(ctx, key, revision)
	} else {
		e, err = kv.Get(ctx, key)
	}
	switch {
	case err != nil && revision > 0:
		return nil, fmt.Errorf("key %s of bucket %s, revision %d: %w", key, kv.Bucket(), revision, err)
	case err != nil:
		return nil, fmt.Errorf("key %s of bucket %s: %w", key, kv.Bucket(), err)
	}
	return e, nil
}

func (a *app) showEntry(e jetstream.KeyValueEntry, raw bool) error {
	switch {
	case a.asJSON:
		return a.printJSON(entryOf(e))
	case raw:
		if _, err := a.out.Write(e.Value()); err != nil {
			return fmt.Errorf("write the value: %w", err)
		}
		return nil
	}
	p := a.newPrinter(false, false)
	fmt.Fprintln(p.out, a.bold(fmt.Sprintf("%s %s #%d  %s", e.Bucket(), e.Key(), e.Revision(), when(e.Created()))))
	p.out.Write(e.Value())
	if b := e.Value(); len(b) > 0 && b[len(b)-1] != '\n' {
		p.out.WriteByte('\n')
	}
	return p.flush()
}

func newKVHistory(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "history BUCKET KEY",
		Short:   "Show the values that a key has had",
		Long:    "Shows the values of a key that the bucket still keeps, oldest first, with deletions among them. `weir kv add --history` says how many it keeps.",
		Example: "  weir kv history CONFIG greeting\n  weir kv history CONFIG greeting --json",
		Args:    arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBucket(cmd, args[0], func(ctx context.Context, kv jetstream.KeyValue) error {
				list, err := kv.History(ctx, args[1])
				if err != nil {
					return fmt.Errorf("key %s of bucket %s: %w", args[1], args[0], err)
				}
				return a.showHistory(list)
			})
		},
	}
}

func (a *app) showHistory(list []jetstream.KeyValueEntry) error {
	if a.asJSON {
		all := make([]*kvEntry, 0, len(list))
		for _, e := range list {
			all = append(all, entryOf(e))
		}
		return a.printJSON(all)
	}
	t := newTable(">REVISION", "CHANGE", "TIME", ">BYTES", "VALUE")
	for _, e := range list {
		t.add(fmt.Sprint(e.Revision()), operation(e), when(e.Created()), thousands(len(e.Value())), oneLine(e.Value(), 60))
	}
	return t.print(a.out, a.bold)
}

// oneLine shows the beginning of a value: at most n characters, and what does not
// print escaped.
func oneLine(b []byte, n int) string {
	s := fmt.Sprintf("%q", b[:min(len(b), 4*n)])
	return shorten(s[1:len(s)-1], n)
}

func newKVKeys(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys BUCKET [FILTER...]",
		Short: "List a bucket's keys",
		Long: `Lists the keys that have a value, one a line, sorted. FILTER chooses among them,
with * for one part between dots and > for all that follow.`,
		Example: "  weir kv keys CONFIG\n  weir kv keys CONFIG 'eu.>' 'us.>'\n  weir kv keys CONFIG --json",
		Args:    arguments(1, -1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withLiveStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			kv, err := openBucket(ctx, js, args[0])
			if err != nil {
				return err
			}
			keys, err := listKeys(ctx, kv, args[1:])
			if err != nil {
				return fmt.Errorf("list the keys of bucket %s: %w", args[0], err)
			}
			return a.showNames(keys, fmt.Sprintf("No keys. `weir kv put %s KEY VALUE` makes one.", args[0]))
		})
	}
	return cmd
}

func listKeys(ctx context.Context, kv jetstream.KeyValue, filters []string) ([]string, error) {
	if len(filters) == 0 {
		filters = []string{">"}
	}
	l, err := kv.ListKeysFiltered(ctx, filters...)
	if err != nil {
		return nil, err
	}
	keys := []string{}
	for {
		select {
		case key, more := <-l.Keys():
			if !more {
				slices.Sort(keys)
				return slices.Compact(keys), nil
			}
			keys = append(keys, key)
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), l.Stop())
		}
	}
}

// showNames prints names, one a line, or text where there is none.
func (a *app) showNames(names []string, none string) error {
	switch {
	case a.asJSON:
		return a.printJSON(names)
	case len(names) == 0:
		a.note("%s", none)
		return nil
	}
	_, err := fmt.Fprintln(a.out, strings.Join(names, "\n"))
	return err
}
