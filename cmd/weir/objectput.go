package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// transferLimit ends a transfer that never does: the client library takes a context
// without an end for one of five seconds.
const transferLimit = 30 * 24 * time.Hour

type objectPutFlags struct {
	name, description string
	headers           []string
	metadata          map[string]string
	chunk             sizeFlag
	force             bool
}

func newObjectPut(a *app) *cobra.Command {
	f := objectPutFlags{chunk: 128 << 10}
	cmd := &cobra.Command{
		Use:   "put STORE FILE | put STORE NAME -",
		Short: "Store a file, or standard input",
		Long: `Stores FILE under its own name or under --name; with "-" what standard input gives,
under NAME. Readers get the old object until the new one is stored whole. It asks
before it replaces one; --force does not.

The object's SHA-256 digest is stored with it and verified by whoever reads it.`,
		Example: "  weir object put FILES report.pdf\n  weir object put FILES /var/log/syslog --name syslog/today --force\n  tar c src | weir object put FILES src.tar -",
		Args:    arguments(2, 3),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name of the object, instead of the file's")
	flags.StringVar(&f.description, "description", "", "what it is")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "add a header, `KEY:VALUE`")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "facts of your own, `KEY=VALUE`")
	flags.Var(&f.chunk, "chunk-size", "size of the pieces")
	flags.BoolVarP(&f.force, "force", "f", false, "replace an object without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.objectPut(cmd, args, &f)
	}
	return cmd
}

func (a *app) objectPut(cmd *cobra.Command, args []string, f *objectPutFlags) error {
	meta, err := f.meta(cmd, args)
	if err != nil {
		return err
	}
	in, size := io.NopCloser(a.in), int64(0)
	if len(args) == 2 {
		file, err := os.Open(args[1])
		if err != nil {
			return fmt.Errorf("read the file: %w", err)
		}
		info, err := file.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a directory; `tar c %s | weir object put %s NAME -` stores one", args[1], args[1], args[0])
		}
		if err != nil {
			_ = file.Close() // nothing was read
			return err
		}
		in, size = file, info.Size()
	}
	defer func() { _ = in.Close() }() // it was only read
	return a.withLiveStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
		ctx, cancel := context.WithTimeout(ctx, transferLimit)
		defer cancel()
		obs, err := openStore(ctx, js, args[0])
		if err != nil {
			return err
		}
		old, err := obs.GetInfo(ctx, meta.Name)
		switch {
		case errors.Is(err, jetstream.ErrObjectNotFound):
			old = nil
		case err != nil:
			return fmt.Errorf("object %s of store %s: %w", meta.Name, args[0], err)
		case len(args) == 3 && !f.force: // nobody can be asked on what the object comes from
			return usagef(cmd, "object %s exists: --force replaces it", meta.Name)
		default:
			what := fmt.Sprintf("Replace object %s (%s) of store %s", old.Name, humanBytes(old.Size), args[0])
			if err := a.confirm(cmd, f.force, what); err != nil {
				return err
			}
		}
		s, err := newSender(ctx, js, args[0], int64(f.chunk), a.timeout)
		if err != nil {
			return err
		}
		return a.upload(ctx, s, obs, meta, old, in, size)
	})
}

// meta describes the object that the command line names.
func (f *objectPutFlags) meta(cmd *cobra.Command, args []string) (jetstream.ObjectMeta, error) {
	meta := jetstream.ObjectMeta{Description: f.description, Metadata: f.metadata}
	switch {
	case len(args) == 3 && args[2] != "-":
		return meta, usagef(cmd, "unexpected argument %q; usage: %s", args[2], cmd.UseLine())
	case len(args) == 3 && f.name != "":
		return meta, usagef(cmd, "NAME and --name are two names; give one")
	case len(args) == 3:
		meta.Name = args[1]
	case args[1] == "-":
		return meta, usagef(cmd, "standard input has no name: %s put %s NAME -", cmd.Parent().CommandPath(), args[0])
	case f.name != "":
		meta.Name = f.name
	default:
		meta.Name = filepath.Base(args[1])
	}
	if f.chunk < 1 || f.chunk > 1<<26 {
		return meta, usagef(cmd, "--chunk-size is from 1 to 64MB")
	}
	meta.Opts = &jetstream.ObjectMetaOptions{ChunkSize: uint32(f.chunk)}
	for _, h := range f.headers {
		key, value, found := strings.Cut(h, ":")
		if !found || strings.TrimSpace(key) == "" {
			return meta, usagef(cmd, "header %q is not KEY:VALUE", h)
		}
		if meta.Headers == nil {
			meta.Headers = nats.Header{}
		}
		meta.Headers.Add(strings.TrimSpace(key), strings.TrimSpace(value))
	}
	return meta, nil
}

// upload stores what in gives and holds what the server then has against it.
func (a *app) upload(ctx context.Context, s *sender, obs jetstream.ObjectStore, meta jetstream.ObjectMeta, old *jetstream.ObjectInfo, in io.Reader, size int64) error {
	p := a.newProgress(a.asJSON)
	info, err := s.put(ctx, meta, old, &counted{Reader: in, told: func(n int64) { p.showPart(n, max(n, size)) }})
	p.clear()
	if err == nil {
		var stored *jetstream.ObjectInfo
		if stored, err = obs.GetInfo(ctx, meta.Name); err == nil && (stored.Digest != info.Digest || stored.Size != info.Size) {
			err = fmt.Errorf("the store has another object, of %s and digest %s: somebody else stores under this name", humanBytes(stored.Size), stored.Digest)
		}
		info = stored
	}
	if err != nil {
		return fmt.Errorf("store object %s: %w", meta.Name, lostOr(ctx, err))
	}
	return a.done(info, "Stored object %s: %s in %s, %s", info.Name, humanBytes(info.Size), plural(uint64(info.Chunks), "piece", "pieces"), info.Digest)
}

// lostOr is err, or that the connection was lost where that is why.
func lostOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && isLost(cause) {
		return cause
	}
	return err
}

// counted tells of how much was read.
type counted struct {
	io.Reader
	n    int64
	told func(int64)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	c.told(c.n)
	return n, err
}
