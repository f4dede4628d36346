package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newKVPut(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "put BUCKET KEY [VALUE|-]",
		Short: "Give a key a value",
		Long: `Gives a key a value, whatever it had before, and says its revision when it is
stored. Without VALUE, or for "-", the value is read from standard input, as it is.`,
		Example: "  weir kv put CONFIG greeting hello\n  weir kv put CONFIG logo < logo.png\n  echo -n secret | weir kv put CONFIG token -",
		Args:    arguments(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.write(cmd, args, func(ctx context.Context, kv jetstream.KeyValue, value []byte) (uint64, error) {
				return kv.Put(ctx, args[1], value)
			})
		},
	}
}

func newKVCreate(a *app) *cobra.Command {
	var ttl durationFlag
	cmd := &cobra.Command{
		Use:   "create BUCKET KEY [VALUE|-]",
		Short: "Give a key a value if it has none",
		Long: `Gives a key a value unless it has one: of several that try, one succeeds, the
others exit with status 1. With --ttl the value goes after that time by itself,
which makes a lock with a deadline; the bucket must have been made with
--marker-ttl.`,
		Example: "  weir kv create LOCKS deploy \"$HOSTNAME\"\n  weir kv create LOCKS deploy \"$HOSTNAME\" --ttl 30s",
		Args:    arguments(2, 3),
	}
	cmd.Flags().Var(&ttl, "ttl", "the value goes after this long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.write(cmd, args, func(ctx context.Context, kv jetstream.KeyValue, value []byte) (uint64, error) {
			if ttl > 0 {
				return kv.Create(ctx, args[1], value, jetstream.KeyTTL(time.Duration(ttl)))
			}
			return kv.Create(ctx, args[1], value)
		})
	}
	return cmd
}

func newKVUpdate(a *app) *cobra.Command {
	var revision uint64
	cmd := &cobra.Command{
		Use:   "update BUCKET KEY [VALUE|-] --revision N",
		Short: "Change a value if nobody else has",
		Long: `Gives a key a value if its newest revision is still the one that --revision names,
as kv get shows it. If somebody was faster nothing changes, and the exit status is 1.`,
		Example: "  weir kv get CONFIG greeting\n  weir kv update CONFIG greeting hi --revision 12",
		Args:    arguments(2, 3),
	}
	cmd.Flags().Uint64Var(&revision, "revision", 0, "the revision that the value has")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("revision") {
			return usagef(cmd, "say which revision is to be replaced: --revision N, as `weir kv get %s %s` shows it", args[0], args[1])
		}
		return a.write(cmd, args, func(ctx context.Context, kv jetstream.KeyValue, value []byte) (uint64, error) {
			return kv.Update(ctx, args[1], value, revision)
		})
	}
	return cmd
}

// write reads a value and stores it with put.
func (a *app) write(cmd *cobra.Command, args []string, put func(context.Context, jetstream.KeyValue, []byte) (uint64, error)) error {
	value, err := a.value(cmd, args[2:])
	if err != nil {
		return err
	}
	return a.withBucket(cmd, args[0], func(ctx context.Context, kv jetstream.KeyValue) error {
		revision, err := put(ctx, kv, value)
		if err != nil {
			return fmt.Errorf("key %s of bucket %s: %w", args[1], args[0], err)
		}
		return a.wrote(args[0], args[1], "put", revision)
	})
}

func (a *app) wrote(bucket, key, what string, revision uint64) error {
	return a.done(map[string]any{"bucket": bucket, "key": key, "operation": what, "revision": revision},
		"%s %s: revision %d", bucket, key, revision)
}

func newKVDel(a *app) *cobra.Command {
	var revision uint64
	cmd := &cobra.Command{
		Use:     "del BUCKET KEY",
		Aliases: []string{"delete"},
		Short:   "Delete a key's value, keep its history",
		Long: `Deletes the value of a key: readers find none any more. A mark of the deletion, and
the earlier values as far as the bucket keeps them, stay: history shows and revert
brings them back; purge removes them. With --revision nothing is deleted if somebody
has changed the value since.`,
		Example: "  weir kv del CONFIG greeting\n  weir kv del LOCKS deploy --revision 17",
		Args:    arguments(2, 2),
	}
	cmd.Flags().Uint64Var(&revision, "revision", 0, "only if this is still the newest revision")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withBucket(cmd, args[0], func(ctx context.Context, kv jetstream.KeyValue) error {
			var opts []jetstream.KVDeleteOpt
			if revision > 0 {
				opts = append(opts, jetstream.LastRevision(revision))
			}
			if err := kv.Delete(ctx, args[1], opts...); err != nil {
				return fmt.Errorf("delete key %s of bucket %s: %w", args[1], args[0], err)
			}
			return a.done(map[string]any{"bucket": args[0], "key": args[1], "operation": "del"}, "Deleted key %s of bucket %s", args[1], args[0])
		})
	}
	return cmd
}

func newKVPurge(a *app) *cobra.Command {
	var force bool
	var revision uint64
	var ttl durationFlag
	cmd := &cobra.Command{
		Use:   "purge BUCKET KEY",
		Short: "Delete a key's value and its history",
		Long: `Deletes the value of a key and all its earlier ones, for good. A mark of it stays,
so that watchers hear of it, until compact removes it; with --ttl it goes after that
time by itself. It asks first; --force does not.`,
		Example: "  weir kv purge CONFIG greeting\n  weir kv purge CONFIG greeting --force\n  weir kv purge SESSIONS ann --force --ttl 1h",
		Args:    arguments(2, 2),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.Flags().Uint64Var(&revision, "revision", 0, "only if this is still the newest revision")
	cmd.Flags().Var(&ttl, "ttl", "the mark goes after this long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.confirm(cmd, force, "Purge key "+args[1]+" of bucket "+args[0]+" with its history"); err != nil {
			return err
		}
		return a.withBucket(cmd, args[0], func(ctx context.Context, kv jetstream.KeyValue) error {
			var opts []jetstream.KVDeleteOpt
			if revision > 0 {
				opts = append(opts, jetstream.LastRevision(revision))
			}
			if ttl > 0 {
				opts = append(opts, jetstream.PurgeTTL(time.Duration(ttl)))
			}
			if err := kv.Purge(ctx, args[1], opts...); err != nil {
				return fmt.Errorf("purge key %s of bucket %s: %w", args[1], args[0], err)
			}
			return a.done(map[string]any{"bucket": args[0], "key": args[1], "operation": "purge"}, "Purged key %s of bucket %s", args[1], args[0])
		})
	}
	return cmd
}

func newKVRevert(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revert BUCKET KEY REVISION",
		Short: "Give a key an earlier value again",
		Long: `Gives a key the value that it had at an earlier revision, as a new revision. It works
for deleted keys, too, as long as the bucket keeps that revision (kv history shows
which it keeps). If somebody changes the key meanwhile nothing is changed.`,
		Example: "  weir kv history CONFIG greeting\n  weir kv revert CONFIG greeting 12",
		Args:    arguments(3, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			revision, err := strconv.ParseUint(args[2], 10, 64)
			if err != nil || revision == 0 {
				return usagef(cmd, "%q is no revision; they are numbers from 1 on", args[2])
			}
			return a.withBucket(cmd, args[0], func(ctx context.Context, kv jetstream.KeyValue) error {
				return a.revert(ctx, kv, args[1], revision)
			})
		},
	}
}

func (a *app) revert(ctx context.Context, kv jetstream.KeyValue, key string, revision uint64) error {
	list, err := kv.History(ctx, key)
	if err != nil {
		return fmt.Errorf("key %s of bucket %s: %w", key, kv.Bucket(), err)
	}
	for _, e := range list {
		if e.Revision() != revision {
			continue
		}
		if e.Operation() != jetstream.KeyValuePut {
			return fmt.Errorf("revision %d of key %s is a deletion and has no value", revision, key)
		}
		now, err := kv.Update(ctx, key, e.Value(), list[len(list)-1].Revision())
		if err != nil {
			return fmt.Errorf("key %s of bucket %s: %w", key, kv.Bucket(), err)
		}
		return a.wrote(kv.Bucket(), key, "put", now)
	}
	return errors.New("the bucket does not keep revision " + strconv.FormatUint(revision, 10) + " of key " + key +
		"; `weir kv history " + kv.Bucket() + " " + key + "` shows those that it keeps")
}
