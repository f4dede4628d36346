package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newObject(a *app) *cobra.Command {
	return parent(groupStreams, "object", "Keep files of any size",
		`A store keeps objects, files of any size, in pieces that are put together and verified
when they are read. A store NAME is the stream OBJ_NAME.`,
		`  weir object add FILES
  weir object put FILES report.pdf
  weir object ls FILES
  weir object get FILES report.pdf --output /tmp/report.pdf
  tar c src | weir object put FILES src.tar -`,
		newObjectAdd(a), newObjectPut(a), newObjectGet(a), newObjectLs(a), newObjectInfo(a), newObjectWatch(a), newObjectRm(a), newObjectSeal(a))
}

// withStore connects and finds an object store; do's context ends with --timeout.
func (a *app) withStore(cmd *cobra.Command, name string, do func(context.Context, jetstream.ObjectStore) error) error {
	return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
		obs, err := openStore(ctx, js, name)
		if err != nil {
			return err
		}
		return do(ctx, obs)
	})
}

// openStore finds an object store and names it in the error.
func openStore(ctx context.Context, js jetstream.JetStream, name string) (jetstream.ObjectStore, error) {
	obs, err := js.ObjectStore(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", name, err)
	}
	return obs, nil
}

type objectFlags struct {
	description, storage string
	ttl                  durationFlag
	maxBytes             sizeFlag
	replicas             int
	compress             bool
	metadata             map[string]string
}

func newObjectAdd(a *app) *cobra.Command {
	var f objectFlags
	cmd := &cobra.Command{
		Use:   "add STORE",
		Short: "Make an object store",
		Long: `Makes a store for objects. They stay until somebody removes them unless --ttl says
less. Making the same store again changes nothing.`,
		Example: "  weir object add FILES\n  weir object add CACHE --ttl 7d --max-bytes 100GB --compress",
		Args:    arguments(1, 1),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.Var(&f.ttl, "ttl", "objects go after this long, such as 30d")
	flags.Var(&f.maxBytes, "max-bytes", "refuse objects when the store holds this much, such as 10GB")
	flags.StringVar(&f.storage, "storage", "file", "file or memory")
	flags.IntVar(&f.replicas, "replicas", 1, "number of servers that keep the store")
	flags.BoolVar(&f.compress, "compress", false, "compress what is stored")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "facts of your own, `KEY=VALUE`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c := jetstream.ObjectStoreConfig{
			Bucket: args[0], Description: f.description, TTL: time.Duration(f.ttl), MaxBytes: int64(f.maxBytes),
			Replicas: f.replicas, Compression: f.compress, Metadata: f.metadata,
		}
		if err := chooseStorage(&c.Storage, f.storage); err != nil {
			return usagef(cmd, "%v", err)
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			obs, err := js.CreateObjectStore(ctx, c)
			if err != nil {
				return fmt.Errorf("make object store %s: %w", c.Bucket, err)
			}
			return a.showStore(ctx, args[0], obs)
		})
	}
	return cmd
}
