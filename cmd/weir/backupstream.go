package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"github.com/weirmq/weir/internal/backup"
)

// snapshotChunk and snapshotWindow are how a backup is sent, bytes.
const (
	snapshotChunk  = 256 << 10
	snapshotWindow = 8 << 20
)

type backupStreamFlags struct {
	noConsumers, force bool
}

const backupStreamLong = `Saves a stream to FILE ("-": standard output), as it is at one moment, while it goes
on. The file is verified on the way and gets its name when it is whole and on the
disk: a backup that breaks off leaves no FILE.

While a backup runs, the server keeps on the disk what is removed from the stream.`

func newBackupStream(a *app) *cobra.Command {
	var f backupStreamFlags
	cmd := &cobra.Command{
		Use:   "stream NAME FILE|-",
		Short: "Save a stream to a file",
		Long:  backupStreamLong,
		Example: "  weir backup stream ORDERS orders.weir\n  weir backup stream ORDERS orders.weir --force --no-consumers\n" +
			"  weir backup stream ORDERS - | zstd > orders.weir.zst",
		Args: arguments(2, 2),
	}
	cmd.Flags().BoolVar(&f.noConsumers, "no-consumers", false, "leave the consumers out")
	cmd.Flags().BoolVarP(&f.force, "force", "f", false, "replace FILE if it exists")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.backupStream(cmd.Context(), args[0], args[1], f)
	}
	return cmd
}

func (a *app) backupStream(ctx context.Context, name, file string, f backupStreamFlags) error {
	out, err := a.createFile(file, f.force, 0o600)
	if err != nil {
		return err
	}
	facts, err := a.receiveBackup(ctx, name, out, f)
	if err != nil {
		return errors.Join(fmt.Errorf("back up stream %s: %w", name, err), out.drop())
	}
	if err := out.keep(); err != nil {
		return err
	}
	if out.temporary == "" {
		a.note("Backed up stream %s: %s, %s", name, plural(facts.Messages, "message", "messages"), humanBytes(uint64(facts.Bytes)))
		return nil
	}
	return a.showBackup(facts, "Saved to %s", file)
}

// receiveBackup asks for a snapshot, and writes and verifies what comes.
func (a *app) receiveBackup(ctx context.Context, name string, out io.Writer, f backupStreamFlags) (*backupFacts, error) {
	nc, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	r := &snapshotReader{nc: nc, ctx: ctx, patience: max(a.timeout, snapshotPatience)}
	inbox := nc.NewInbox()
	if r.sub, err = nc.SubscribeSync(inbox); err == nil {
		err = r.sub.SetPendingLimits(-1, 4*snapshotWindow)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the snapshot: %w", err)
	}
	body, err := json.Marshal(map[string]any{
		"deliver_subject": inbox, "no_consumers": f.noConsumers, "chunk_size": snapshotChunk, "window_size": snapshotWindow,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	answer, err := nc.Request("$JS.API.STREAM.SNAPSHOT."+name, body, a.timeout)
	if err == nil {
		err = apiFailure(answer.Data)
	}
	if err != nil {
		return nil, err
	}
	p := a.newProgress(a.asJSON)
	defer p.clear()
	facts, err := readBackup(bufio.NewReaderSize(io.TeeReader(backup.Unpacker(r), out), snapshotChunk), func(_ int64, n, of uint64) { p.showCount(n, of) })
	if errors.Is(err, backup.ErrForeign) {
		return nil, errors.New("the server is not weir: its snapshots have a format of their own, which the nats command saves")
	}
	return facts, err
}

// snapshotPatience is how long the next part of a snapshot may take at least.
const snapshotPatience = 10 * time.Second

// snapshotReader makes an io.Reader of a snapshot's chunks. A chunk is answered when
// it was read.
type snapshotReader struct {
	nc       *nats.Conn
	ctx      context.Context
	sub      *nats.Subscription
	patience time.Duration
	reply    string
	rest     []byte
	ended    bool
}

// Read implements io.Reader.
func (r *snapshotReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next answers the last chunk and waits for another.
func (r *snapshotReader) next() error {
	if r.reply != "" {
		if err := r.nc.Publish(r.reply, nil); err != nil {
			return fmt.Errorf("answer the server: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.patience)
	defer cancel()
	m, err := r.sub.NextMsgWithContext(ctx)
	if err != nil {
		return fmt.Errorf("wait for the snapshot: %w", err)
	}
	r.reply, r.rest = m.Reply, m.Data
	if len(m.Data) > 0 {
		return nil
	}
	if status := m.Header.Get("Status"); status != "" && status != "204" {
		return fmt.Errorf("the server ended the snapshot: %s (%s)", m.Header.Get("Description"), status)
	}
	r.ended = true
	return nil
}
