package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/internal/record"
)

// This file has what all imports do: one copy after the other, each uploaded as a
// backup, read back, compared, and told of.

// fate is what became of one copy.
type fate struct {
	Messages uint64   `json:"messages"`
	Bytes    uint64   `json:"bytes"`
	FirstSeq uint64   `json:"first_seq"`
	LastSeq  uint64   `json:"last_seq"`
	Digest   string   `json:"digest,omitempty"`
	Verified bool     `json:"verified"`
	Notes    []string `json:"notes,omitempty"` // what was not carried over as it was
	Error    string   `json:"error,omitempty"`
}

func (f *fate) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

// copying is an import of one thing.
type copying interface {
	run(ctx context.Context) error
	outcome() *fate
}

// copyAll makes copies, one after the other; kind and each one's name are for errors.
// One that fails does not keep the others from being made. show tells of those that
// were tried.
func (a *app) copyAll(ctx context.Context, kind string, dryRun bool, all iter.Seq2[string, copying], show func() error) error {
	var failed error
	for name, c := range all {
		if err := c.run(ctx); err != nil {
			c.outcome().Error = plainText(err)
			failed = errors.Join(failed, fmt.Errorf("import %s %s: %w", kind, name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := show(); err != nil {
		return err
	}
	if failed != nil && !dryRun {
		a.note("\nThe same command goes on where this one has ended.")
	}
	return failed
}

// fates is the table of what an import did.
type fates struct {
	table    *table
	messages uint64
	bytes    uint64
	count    uint64
	notes    strings.Builder
}

// newFates begins a table: what is copied, and what is carried over beside the messages.
func newFates(what, beside string) *fates {
	return &fates{table: newTable(what, ">MESSAGES", ">BYTES", ">FIRST", ">LAST", ">"+beside, "RESULT")}
}

func (t *fates) add(name string, f *fate, beside int, result string) {
	t.count++
	t.messages += f.Messages
	t.bytes += f.Bytes
	t.table.add(name, thousands(f.Messages), humanBytes(f.Bytes), thousands(f.FirstSeq), thousands(f.LastSeq), thousands(beside), result)
	for _, n := range f.Notes {
		fmt.Fprintf(&t.notes, "%s: %s\n", name, n)
	}
}

func (t *fates) print(a *app, one, many string, took time.Duration) error {
	t.table.total(plural(t.count, one, many), thousands(t.messages), humanBytes(t.bytes), "", "", "", humanDuration(took))
	if err := t.table.print(a.out, a.bold); err != nil {
		return err
	}
	if t.notes.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(a.out, "\n%s\n%s", a.bold("Not carried over, or not as it was:"), t.notes.String())
	return err
}

// upload is a stream that is made of a backup.
type upload struct {
	stream string
	config json.RawMessage
	what   string // for the progress
	size   int64
	write  func(io.Writer) error // writes the backup, once more for each try
}

// busyFor is how long weir may take to give an earlier run's upload up.
const busyFor = 20 * time.Second

// nameTaken is the code of the answer to a restore for which there is a stream, or
// another restore that is under way.
const nameTaken jetstream.ErrorCode = 10130

// makeStream makes the stream in weir.
func (a *app) makeStream(ctx context.Context, u *upload) error {
	for end := time.Now().Add(busyFor); ; pause(ctx, 500*time.Millisecond) {
		err := a.uploadOnce(ctx, u)
		var refusal *jetstream.APIError
		if err == nil {
			return nil
		}
		busy := errors.As(err, &refusal) && refusal.ErrorCode == nameTaken
		if !busy || ctx.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("make it in weir: %w", err)
		}
	}
}

func (a *app) uploadOnce(ctx context.Context, u *upload) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(u.write(w))
	}()
	up := &uploader{app: a, ctx: ctx, size: u.size, in: r, what: u.what + ", storing: "}
	err := up.restore(u.stream, u.config)
	r.CloseWithError(errors.New("the upload has ended"))
	<-done
	return err
}

// copied is the part of a stream in weir that is read back. records is about how many
// messages it has.
type copied struct {
	dst         *origin
	stream      string
	first, last uint64
	records     uint64
	policy      jetstream.RetentionPolicy
}

// readBack holds a copy against what is expected.
func (c *comparison) readBack(ctx context.Context, of *copied, expected iter.Seq2[*record.View, error], p progress) error {
	next, stop := iter.Pull2(expected)
	defer stop()
	c.next = next
	c.advance()
	defer p.clear()
	var n uint64
	err := of.dst.read(ctx, of.stream, of.first, of.last, of.policy, func(v *record.View) error {
		n++
		p.showCount(n, max(n, of.records))
		return c.see(v)
	})
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return fmt.Errorf("read the copy back: %w", err)
	}
	return nil
}

// verdict is an error that names examples where the copy differs from its source.
func (c *comparison) verdict(source string) error {
	if c.wrong == 0 {
		return nil
	}
	return fmt.Errorf("the copy differs from %s in %s: %s", source, plural(c.wrong, "message", "messages"), strings.Join(c.examples, ", "))
}

// reaches says, by an error, whether the copy is as long as what was copied, and gives
// its first sequence.
func (o *origin) reaches(ctx context.Context, stream string, last uint64) (first uint64, err error) {
	st, err := o.state(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("look at the copy: %w", err)
	}
	if st.LastSeq < last {
		return 0, fmt.Errorf("the copy ends at sequence %d instead of %d", st.LastSeq, last)
	}
	return st.FirstSeq, nil
}
