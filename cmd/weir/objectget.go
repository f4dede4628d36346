package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

type objectGetFlags struct {
	output string
	force  bool
}

func newObjectGet(a *app) *cobra.Command {
	var f objectGetFlags
	cmd := &cobra.Command{
		Use:   "get STORE NAME",
		Short: "Read an object into a file, or to standard output",
		Long: `Reads an object and verifies its digest. It is written to --output, or to a file of
its name here, which gets its name when all of it has come and is what was stored: a
transfer that breaks off leaves no file. For --output "-" it is written to standard
output as it comes; then the exit status says whether it was whole.`,
		Example: "  weir object get FILES report.pdf\n  weir object get FILES syslog/today --output /tmp/syslog --force\n  weir object get FILES src.tar --output - | tar x",
		Args:    arguments(2, 2),
	}
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "write to `FILE`; -: standard output")
	cmd.Flags().BoolVarP(&f.force, "force", "f", false, "replace a file that exists")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := f.output
		if name == "" {
			name = filepath.Base(filepath.FromSlash(args[1]))
		}
		return a.withLiveStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			obs, err := openStore(ctx, js, args[0])
			if err != nil {
				return err
			}
			return a.objectGet(ctx, obs, args[1], name, f.force)
		})
	}
	return cmd
}

func (a *app) objectGet(ctx context.Context, obs jetstream.ObjectStore, object, file string, force bool) error {
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	in, err := obs.Get(ctx, object)
	if err != nil {
		return fmt.Errorf("object %s: %w", object, err)
	}
	defer func() {
		if ctx.Err() == nil { // else a Read that has no end may be in its way
			_ = in.Close() // it was only read
		}
	}()
	info, err := in.Info()
	if err != nil {
		return fmt.Errorf("object %s: %w", object, err)
	}
	out, err := a.createFile(file, force, 0o666)
	if err != nil {
		return err
	}
	p := a.newProgress(a.asJSON)
	// What the client verifies is the digest; that nothing is missing is held here.
	n, err := io.Copy(out, &counted{Reader: untilClosed{in, ctx}, told: func(n int64) { p.showPart(n, int64(info.Size)) }})
	p.clear()
	if err == nil && uint64(n) != info.Size {
		err = fmt.Errorf("%d of %d bytes came", n, info.Size)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("read object %s: %w", object, lostOr(ctx, err)), out.drop())
	}
	if err := out.keep(); err != nil {
		return err
	}
	if out.temporary == "" {
		return nil
	}
	return a.done(info, "Wrote %s: %s, %s", file, humanBytes(info.Size), info.Digest)
}

// untilClosed ends a reading with its context: the client's own would wait for ever
// for what a lost connection does not bring any more.
type untilClosed struct {
	jetstream.ObjectResult
	ctx context.Context
}

func (u untilClosed) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	done := make(chan result, 1)
	go func() {
		n, err := u.ObjectResult.Read(b)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-u.ctx.Done():
		return 0, context.Cause(u.ctx)
	}
}
