package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// kvFlags are a bucket's settings as flags.
type kvFlags struct {
	description, storage string
	history              uint8
	ttl, markerTTL       durationFlag
	maxBytes, maxValue   sizeFlag
	replicas             int
	compress             bool
	metadata             map[string]string
}

func (f *kvFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.Uint8Var(&f.history, "history", 1, "values to keep of each key, at most 64")
	flags.Var(&f.ttl, "ttl", "values go after this long, such as 30d")
	flags.Var(&f.markerTTL, "marker-ttl", "tell watchers of values that went by their age, with marks that last this long")
	flags.Var(&f.maxBytes, "max-bytes", "refuse changes when the bucket holds this much, such as 10GB")
	flags.Var(&f.maxValue, "max-value-size", "refuse values larger than this")
	flags.StringVar(&f.storage, "storage", "file", "file or memory")
	flags.IntVar(&f.replicas, "replicas", 1, "number of servers that keep the bucket")
	flags.BoolVar(&f.compress, "compress", false, "compress what is stored")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "facts of your own, `KEY=VALUE`")
}

func (f *kvFlags) config(bucket string) (jetstream.KeyValueConfig, error) {
	c := jetstream.KeyValueConfig{
		Bucket: bucket, Description: f.description, History: f.history, TTL: time.Duration(f.ttl), LimitMarkerTTL: time.Duration(f.markerTTL),
		MaxBytes: int64(f.maxBytes), Replicas: f.replicas, Compression: f.compress, Metadata: f.metadata,
	}
	if f.history < 1 || f.history > jetstream.KeyValueMaxHistory {
		return c, fmt.Errorf("--history is from 1 to %d", jetstream.KeyValueMaxHistory)
	}
	if f.maxValue > 1<<31-1 {
		return c, errors.New("--max-value-size is at most 2GiB - 1")
	}
	c.MaxValueSize = int32(f.maxValue)
	return c, chooseStorage(&c.Storage, f.storage)
}

func chooseStorage(to *jetstream.StorageType, value string) error {
	return choose(to, "--storage", value, map[string]jetstream.StorageType{
		"file": jetstream.FileStorage, "memory": jetstream.MemoryStorage})
}

func newKVAdd(a *app) *cobra.Command {
	var f kvFlags
	cmd := &cobra.Command{
		Use:   "add BUCKET",
		Short: "Make a bucket",
		Long: `Makes a bucket. It keeps one value of each key unless --history says more, and
for as long as nobody deletes it unless --ttl says less. Making the same bucket
again changes nothing.`,
		Example: "  weir kv add CONFIG\n  weir kv add SESSIONS --ttl 1h --storage memory\n  weir kv add AUDIT --history 64 --max-bytes 10GB",
		Args:    arguments(1, 1),
	}
	f.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := f.config(args[0])
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			kv, err := js.CreateKeyValue(ctx, c)
			if err != nil {
				return fmt.Errorf("make bucket %s: %w", c.Bucket, err)
			}
			return a.showBucket(ctx, kv)
		})
	}
	return cmd
}
