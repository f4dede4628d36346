package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// bucketFacts are what a bucket is and holds, as programs see it.
type bucketFacts struct {
	jetstream.KeyValueConfig
	Values uint64 `json:"values"` // with history and marks of deletions
	Bytes  uint64 `json:"bytes"`
	Stream string `json:"stream"`
}

func factsOfBucket(st jetstream.KeyValueStatus) *bucketFacts {
	f := &bucketFacts{KeyValueConfig: st.Config(), Values: st.Values(), Bytes: st.Bytes(), Stream: "KV_" + st.Bucket()}
	if s, ok := st.(*jetstream.KeyValueBucketStatus); ok {
		f.Storage, f.Replicas = s.StreamInfo().Config.Storage, s.StreamInfo().Config.Replicas
	}
	return f
}

func newKVLs(a *app) *cobra.Command {
	var names bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List buckets",
		Long:    "Lists the buckets of the account with what they hold. Values are those of all keys, with their history and the marks of deletions.",
		Example: "  weir kv ls\n  weir kv ls --names",
		Args:    arguments(0, 0),
	}
	cmd.Flags().BoolVar(&names, "names", false, "print names only, one a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			list := []*bucketFacts{}
			lister := js.KeyValueStores(ctx)
			for st := range lister.Status() {
				list = append(list, factsOfBucket(st))
			}
			if err := lister.Error(); err != nil {
				return fmt.Errorf("list buckets: %w", err)
			}
			slices.SortFunc(list, func(x, y *bucketFacts) int { return strings.Compare(x.Bucket, y.Bucket) })
			return a.showBuckets(list, names)
		})
	}
	return cmd
}

func (a *app) showBuckets(list []*bucketFacts, names bool) error {
	const none = "No buckets. `weir kv add NAME` makes one."
	switch {
	case names:
		all := make([]string, 0, len(list))
		for _, f := range list {
			all = append(all, f.Bucket)
		}
		return a.showNames(all, none)
	case a.asJSON:
		return a.printJSON(list)
	case len(list) == 0:
		a.note(none)
		return nil
	}
	t := newTable("NAME", "STORAGE", ">HISTORY", ">TTL", ">VALUES", ">BYTES", "DESCRIPTION")
	for _, f := range list {
		t.add(f.Bucket, strings.ToLower(f.Storage.String()), fmt.Sprint(f.History), limitAge(f.TTL), thousands(f.Values), humanBytes(f.Bytes), shorten(f.Description, 40))
	}
	return t.print(a.out, a.bold)
}

func newKVInfo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "info BUCKET",
		Aliases: []string{"status"},
		Short:   "Show a bucket's settings and what it holds",
		Long:    "Shows a bucket's settings and what it holds. `weir stream info KV_BUCKET` shows the stream that it is made of.",
		Example: "  weir kv info CONFIG\n  weir kv status CONFIG --json",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBucket(cmd, args[0], a.showBucket)
		},
	}
}

func (a *app) showBucket(ctx context.Context, kv jetstream.KeyValue) error {
	st, err := kv.Status(ctx)
	if err != nil {
		return fmt.Errorf("look at bucket %s: %w", kv.Bucket(), err)
	}
	f := factsOfBucket(st)
	if a.asJSON {
		return a.printJSON(f)
	}
	var s sheet
	s.heading("Bucket " + f.Bucket)
	s.add("Description", f.Description)
	s.add("Storage", strings.ToLower(f.Storage.String())+replicas(f.Replicas))
	s.add("Metadata", pairs(f.Metadata))
	s.heading("Limits")
	s.add("Values of a key", thousands(int(f.History)))
	s.add("Age", limitAge(f.TTL))
	if f.LimitMarkerTTL > 0 {
		s.add("Marks last", humanDuration(f.LimitMarkerTTL))
	}
	s.add("Bytes", limitBytes(f.MaxBytes))
	s.add("Value size", limitBytes(int64(f.MaxValueSize)))
	if f.Compression {
		s.add("Stored", "compressed")
	}
	s.heading("Holds")
	s.add("Values", thousands(f.Values))
	s.add("Bytes", humanBytes(f.Bytes))
	s.add("Stream", f.Stream)
	return s.print(a.out, a.bold)
}

func newKVRm(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "rm BUCKET",
		Short:   "Remove a bucket with all it holds",
		Long:    "Removes a bucket and all its values. It asks first; --force does not. `weir kv del` deletes a single key.",
		Example: "  weir kv rm CONFIG\n  weir kv rm CONFIG --force",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.confirm(cmd, force, "Remove bucket "+args[0]+" and all it holds"); err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteKeyValue(ctx, args[0]); err != nil {
				return fmt.Errorf("remove bucket %s: %w", args[0], err)
			}
			return a.done(map[string]any{"removed": args[0]}, "Removed bucket %s", args[0])
		})
	}
	return cmd
}

func newKVCompact(a *app) *cobra.Command {
	older := durationFlag(30 * time.Minute)
	var all bool
	cmd := &cobra.Command{
		Use:   "compact BUCKET",
		Short: "Remove what deleted keys left behind",
		Long: `Removes what deleted keys still take: their history, and the marks of their deletion
that are older than --older-than. Younger marks stay, so that watchers that were away
for less than that hear of them.`,
		Example: "  weir kv compact CONFIG\n  weir kv compact CONFIG --older-than 7d\n  weir kv compact CONFIG --all",
		Args:    arguments(1, 1),
	}
	cmd.Flags().Var(&older, "older-than", "remove marks of this age")
	cmd.Flags().BoolVar(&all, "all", false, "remove all marks")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all && cmd.Flags().Changed("older-than") {
			return usagef(cmd, "--all and --older-than exclude each other")
		}
		age := time.Duration(older)
		if all || age == 0 {
			age = -1
		}
		return a.withLiveStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			return a.compact(ctx, js, args[0], age)
		})
	}
	return cmd
}

func (a *app) compact(ctx context.Context, js jetstream.JetStream, bucket string, age time.Duration) error {
	kv, err := openBucket(ctx, js, bucket)
	if err != nil {
		return err
	}
	before, err := kv.Status(ctx)
	if err == nil {
		err = kv.PurgeDeletes(ctx, jetstream.DeleteMarkersOlderThan(age))
	}
	if err != nil {
		return fmt.Errorf("compact bucket %s: %w", bucket, err)
	}
	after, err := kv.Status(ctx)
	if err != nil {
		return fmt.Errorf("look at bucket %s: %w", bucket, err)
	}
	return a.done(map[string]any{"bucket": bucket, "before": before.Values(), "left": after.Values()},
		"Compacted bucket %s: %s before, %s left", bucket, plural(before.Values(), "value", "values"), thousands(after.Values()))
}
