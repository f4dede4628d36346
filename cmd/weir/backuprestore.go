package main

import (
	"bufio"
	"bytes"
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

// uploadChunk is how much of a backup is sent at once, bytes; uploadAhead how many of
// these before an answer comes.
const (
	uploadChunk = 256 << 10
	uploadAhead = 16
	// uploadPatience is how long an answer may take at least.
	uploadPatience = time.Minute
)

type backupRestoreFlags struct {
	name     string
	subjects []string
}

const backupRestoreLong = `Makes the stream that is in FILE ("-": standard input): its settings, its messages
with their sequences and times, and its consumers where they were. The stream must
not exist. It is there when all of it is: a restore that breaks off leaves nothing.

Where it exists, --name and --subject make a copy beside it.`

func newBackupRestore(a *app) *cobra.Command {
	var f backupRestoreFlags
	cmd := &cobra.Command{
		Use:   "restore FILE|-",
		Short: "Make a stream of a backup",
		Long:  backupRestoreLong,
		Example: "  weir backup restore orders.weir\n  weir backup restore orders.weir --name COPY --subject 'copy.>'\n" +
			"  zstd -dc orders.weir.zst | weir backup restore -",
		Args: arguments(1, 1),
	}
	cmd.Flags().StringVar(&f.name, "name", "", "`name` of the stream, instead of its own")
	cmd.Flags().StringArrayVar(&f.subjects, "subject", nil, "`subjects` that it captures, instead of its own")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.backupRestore(cmd.Context(), args[0], f)
	}
	return cmd
}

func (a *app) backupRestore(ctx context.Context, file string, f backupRestoreFlags) error {
	in, size, err := a.openBackup(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	// The head is read for the settings, and sent with the rest.
	var head bytes.Buffer
	b, err := backup.NewReader(io.TeeReader(in, &head))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	facts, saved, err := factsOf(b.Head())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	name, config, err := f.settings(saved)
	if err != nil {
		return err
	}
	facts.Stream = name
	if len(f.subjects) > 0 {
		facts.Subjects = f.subjects
	}
	u := &uploader{app: a, ctx: ctx, size: size, in: io.MultiReader(&head, in)}
	if err := u.restore(name, config); err != nil {
		return fmt.Errorf("restore stream %s: %w", name, err)
	}
	facts.Bytes = u.sent
	return a.showRestored(facts)
}

func (a *app) showRestored(f *backupFacts) error {
	return a.done(f, "Restored stream %s: %s, sequences %s", f.Stream, plural(f.Messages, "message", "messages"), sequences(f))
}

// settings gives the name and the settings of the stream to be made.
func (f *backupRestoreFlags) settings(saved *savedStream) (string, json.RawMessage, error) {
	var c map[string]json.RawMessage
	if err := json.Unmarshal(saved.Doc, &c); err != nil || saved.Dialect != "jetstream" {
		return "", nil, fmt.Errorf("the backup is of a stream that was made through another protocol (%s), which this command cannot restore", saved.Dialect)
	}
	name := saved.Name
	if f.name != "" {
		name = f.name
	}
	var err error
	if c["name"], err = json.Marshal(name); err == nil && len(f.subjects) > 0 {
		c["subjects"], err = json.Marshal(f.subjects)
	}
	if err != nil {
		return "", nil, fmt.Errorf("change the stream's settings: %w", err)
	}
	b, err := json.Marshal(c)
	return name, b, err
}

// uploader sends a backup to a server.
type uploader struct {
	*app
	ctx  context.Context
	in   io.Reader
	size int64  // of the file; 0: not known
	what string // for the progress

	nc      *nats.Conn
	sub     *nats.Subscription
	inbox   string
	subject string
	sent    int64
	waiting int // chunks that are not answered
}

func (u *uploader) restore(name string, config json.RawMessage) error {
	var err error
	if u.nc, err = u.connect(); err != nil {
		return err
	}
	defer u.nc.Close()
	u.inbox = u.nc.NewInbox()
	if u.sub, err = u.nc.SubscribeSync(u.inbox); err != nil {
		return fmt.Errorf("listen for answers: %w", err)
	}
	body, err := json.Marshal(map[string]any{"config": config, "state": struct{}{}})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	answer, err := u.nc.Request("$JS.API.STREAM.RESTORE."+name, body, max(u.timeout, snapshotPatience))
	if err == nil {
		err = apiFailure(answer.Data)
	}
	if err != nil {
		return err
	}
	var where struct {
		DeliverSubject string `json:"deliver_subject"`
	}
	if err := json.Unmarshal(answer.Data, &where); err != nil || where.DeliverSubject == "" {
		return fmt.Errorf("the server does not say where to send the backup: %q", answer.Data)
	}
	u.subject = where.DeliverSubject
	return u.upload()
}

// upload sends all chunks, then an empty one, and waits for all answers.
func (u *uploader) upload() error {
	p := u.newProgress(u.asJSON)
	p.what = u.what
	defer p.clear()
	chunk := make([]byte, min(uploadChunk, u.nc.MaxPayload()))
	for {
		n, err := io.ReadFull(u.in, chunk)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read the backup: %w", err)
		}
		if err := u.send(chunk[:n]); err != nil {
			return err
		}
		p.showPart(u.sent, max(u.size, u.sent))
		most := uploadAhead
		if n == 0 {
			most = 0
		}
		for u.waiting > most {
			if err := u.answered(); err != nil {
				return err
			}
		}
		if n == 0 {
			return nil
		}
	}
}

func (u *uploader) send(chunk []byte) error {
	u.waiting++
	u.sent += int64(len(chunk))
	if err := u.nc.PublishRequest(u.subject, u.inbox, chunk); err != nil {
		return fmt.Errorf("send the backup: %w", err)
	}
	return nil
}

// answered waits for an answer. One with a body is that to the last chunk, or says why
// the server stopped.
func (u *uploader) answered() error {
	ctx, cancel := context.WithTimeout(u.ctx, max(u.timeout, uploadPatience))
	defer cancel()
	m, err := u.sub.NextMsgWithContext(ctx)
	if err == nil && noResponders(m) {
		err = errors.New("the server has given the restore up")
	}
	if err != nil {
		return fmt.Errorf("wait for the server: %w", err)
	}
	u.waiting--
	if len(m.Data) == 0 {
		return nil
	}
	return apiFailure(m.Data)
}

// buffered reads a file in large pieces.
type buffered struct {
	*bufio.Reader
	io.Closer
}

func newBuffered(f io.ReadCloser) io.ReadCloser {
	return buffered{bufio.NewReaderSize(f, uploadChunk), f}
}
