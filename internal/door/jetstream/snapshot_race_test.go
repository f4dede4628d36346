package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// contents lists a backup's records.
func contents(t *testing.T, b []byte) (last uint64, records string) {
	t.Helper()
	in, err := backup.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for {
		it, err := in.Next()
		if errors.Is(err, io.EOF) {
			return in.Head().Last, out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if it.Spec == nil {
			fmt.Fprintf(&out, "%d %s=%s\n", it.Record.Seq, it.Record.Subject, it.Record.Data)
		}
	}
}

// written writes the backup of a snapshot.
func (r *rig) written(name string, meanwhile func()) []byte {
	r.t.Helper()
	snap, err := r.Streams.Find("A", name).Snapshot(context.Background(), true)
	if err != nil {
		r.t.Fatal(err)
	}
	defer snap.Close()
	meanwhile()
	var out bytes.Buffer
	if err := snap.Write(&out, "test"); err != nil {
		r.t.Fatal(err)
	}
	return out.Bytes()
}

// live is a model of a stream that keeps one record for each subject.
type live struct {
	last    uint64
	records map[uint64]string
}

func (l *live) String() string {
	var out strings.Builder
	for seq := uint64(1); seq <= l.last; seq++ {
		if s, ok := l.records[seq]; ok {
			fmt.Fprintf(&out, "%d %s\n", seq, s)
		}
	}
	return out.String()
}

// change does something to the stream and to the model.
func (l *live) change(r *rig, rng *rand.Rand) {
	switch n := rng.Intn(20); {
	case n == 0:
		r.ok("STREAM.PURGE.S", fmt.Sprintf(`{"keep":%d}`, 3+rng.Intn(5)))
		a := r.ok("STREAM.INFO.S", "")
		for seq := range l.records {
			if seq < a.State.FirstSeq {
				delete(l.records, seq)
			}
		}
	case n < 5 && len(l.records) > 0:
		seq := l.last
		for l.records[seq] == "" || seq > 1 && rng.Intn(4) == 0 && len(l.records) > 1 {
			if seq--; seq == 0 {
				seq = l.last
			}
		}
		if l.records[seq] != "" {
			r.ok("STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d}`, seq))
			delete(l.records, seq)
		}
	default:
		subject, data := fmt.Sprintf("s.%d", rng.Intn(12)), fmt.Sprint(rng.Int())
		l.last++
		r.stored(l.last, subject, data)
		for seq, s := range l.records {
			if strings.HasPrefix(s, subject+"=") {
				delete(l.records, seq)
			}
		}
		l.records[l.last] = subject + "=" + data
	}
}

func TestASnapshotIsOfOneMomentWhateverHappensMeanwhile(t *testing.T) {
	for _, storage := range []string{"file", "memory"} {
		t.Run(storage, func(t *testing.T) {
			r := newRig(t)
			r.stream("S", "s.>", `"max_msgs_per_subject":1`, fmt.Sprintf(`"storage":%q`, storage))
			model := &live{records: map[uint64]string{}}
			rng := rand.New(rand.NewSource(5))
			for range 6 {
				for range 60 {
					model.change(r, rng)
				}
				want, last := model.String(), model.last
				b := r.written("S", func() {
					for range 60 {
						model.change(r, rng)
					}
					r.ok("STREAM.PURGE.S", "")
					clear(model.records)
					r.Checkpoint()
					model.change(r, rng)
				})
				if got, records := contents(t, b); got != last || records != want {
					t.Fatalf("up to %d:\n%s\nwant up to %d:\n%s", got, records, last, want)
				}
			}
		})
	}
}

func TestSnapshotsTakenWhileTheStreamChangesAreStatesThatItHad(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"max_msgs_per_subject":1`)
	model := &live{records: map[uint64]string{}}
	rng := rand.New(rand.NewSource(6))
	was := map[string]bool{"0 ": true}
	var mu sync.Mutex
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			model.change(r, rng)
			mu.Lock()
			was[fmt.Sprint(model.last, " ", model.String())] = true
			mu.Unlock()
		}
	})
	var got []string
	for range 40 {
		last, records := contents(t, r.take("S", "").bytes)
		got = append(got, fmt.Sprint(last, " ", records))
	}
	close(stop)
	changing.Wait()
	for i, s := range got {
		if !was[s] {
			t.Errorf("snapshot %d is no state that the stream had:\n%s", i, s)
		}
	}
}

func TestACutOfAnAcknowledgementComesWithIt(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	r.consumer("S", "c")
	for i := range 50 {
		r.stored(uint64(i+1), "s", "x")
		m := r.fetch("S", "c", 1)[0]
		r.space.Publish(answerTo(m.Reply)) // nobody waits for it to be noted
		s := r.take("S", "")
		if i%10 != 0 {
			continue
		}
		other := newRig(t)
		if a := other.upload("S", s.config, s.bytes, 1<<16); a.Error != nil {
			t.Fatalf("%+v", *a.Error)
		}
		if c := other.info("S", "c"); c.AckFloor.StreamSeq != uint64(i+1) || c.NumAckPending != 0 {
			t.Fatalf("after %d acknowledgements: %+v", i+1, c)
		}
	}
}

// beginUpload asks for a restore and uploads the first n bytes.
func (r *rig) beginUpload(s *taken, n int) (subject string) {
	r.t.Helper()
	m := streamtest.Request(r.t, r.space, "$JS.API.STREAM.RESTORE.S", nil, fmt.Appendf(nil, `{"config":%s,"state":{}}`, s.config))
	subject = string(m.Data[bytes.Index(m.Data, []byte(`$JS.`)):bytes.LastIndexByte(m.Data, '"')])
	for b := s.bytes[:n]; len(b) > 0; {
		k := min(700, len(b))
		streamtest.Request(r.t, r.space, subject, nil, b[:k])
		b = b[k:]
	}
	return subject
}

func TestACrashDuringARestoreLeavesNothing(t *testing.T) {
	r := newRig(t)
	r.filled()
	want := r.described("S")
	s := r.take("S", "")
	rng := rand.New(rand.NewSource(7))
	for round := range 12 {
		r := newRig(t)
		r.beginUpload(&s, rng.Intn(len(s.bytes)+1))
		if round%3 == 0 {
			r.Checkpoint()
		}
		mode := faultfs.Modes[round%len(faultfs.Modes)]
		r = on(t, r.Crash(mode, uint64(round)))
		r.refused(wire.CodeStreamNotFound, "STREAM.INFO.S", "")
		streamtest.Await(t, "what is left of it is removed", func() bool { return len(r.Catalog.Streams()) == 0 })
		if a := r.upload("S", s.config, s.bytes, 5000); a.Error != nil {
			t.Fatalf("%+v", *a.Error)
		}
		// What was answered is there, whatever was not synced.
		r = on(t, r.Crash(mode, uint64(round)))
		if got := r.described("S"); got != want {
			t.Fatalf("round %d:\n%s\nwant:\n%s", round, got, want)
		}
	}
}

func TestANameIsTakenWhileItIsBeingRestored(t *testing.T) {
	r := newRig(t)
	r.filled()
	s := r.take("S", "")
	r.ok("STREAM.DELETE.S", "")
	subject := r.beginUpload(&s, 1000)
	r.refused(wire.CodeStreamNotFound, "STREAM.INFO.S", "")
	r.refused(wire.CodeStreamNameExist, "STREAM.CREATE.S", streamConfig("S", "other"))
	r.refused(wire.CodeSubjectOverlap, "STREAM.CREATE.T", streamConfig("T", "s.1"))
	r.refused(wire.CodeStreamNameExistRestore, "STREAM.RESTORE.S", fmt.Sprintf(`{"config":%s,"state":{}}`, s.config))
	if a := r.decode(streamtest.Request(t, r.space, subject, nil, nil).Data); a.Error == nil || a.Error.ErrCode != wire.CodeStreamRestore {
		t.Fatalf("an upload that ends too soon: %+v", a.Error)
	}
	r.stream("S", "s.>")
}

func TestReceiversAndSendersThatVanishAreGivenUp(t *testing.T) {
	r := newRig(t)
	r.filled()
	s := r.take("S", "")
	ask := func() *streamtest.Inbox {
		in := streamtest.NewInbox(t, r.space)
		r.ok("STREAM.SNAPSHOT.S", fmt.Sprintf(`{"deliver_subject":%q,"chunk_size":1024,"window_size":2048}`, in.Subject))
		return in
	}
	// One that never answers gets a window and is told so.
	slow := ask()
	for range 2 {
		if m := slow.Next(t); m.Reply == "" || len(m.Data) != 1024 {
			t.Fatalf("%+v", m)
		}
	}
	gone := ask()
	gone.Close()
	r.ok("STREAM.SNAPSHOT.S", `{"deliver_subject":"nobody.there"}`)
	r.ok("STREAM.DELETE.S", "") // what is read goes on being there, until it is closed
	r.beginUpload(&s, 3000)
	if r.api("STREAM.SNAPSHOT.S", `{"deliver_subject":"x"}`); len(r.Catalog.Streams()) != 1 {
		t.Fatal("the upload is not under way")
	}
	if m := slow.Next(t); !strings.HasPrefix(string(m.Header), "NATS/1.0 408 No Flow Response") && !strings.HasPrefix(string(m.Header), "NATS/1.0 500") {
		t.Fatalf("%q", m.Header)
	}
	streamtest.Await(t, "the upload is given up", func() bool {
		return r.api("STREAM.CREATE.S", streamConfig("S", "s.>")).Error == nil
	})
	for range 12 { // more than may run at a time
		r.take("S", "")
	}
}

func TestOnlySoManyTransfersRunAtATime(t *testing.T) {
	r := newRig(t)
	r.filled()
	var open []*streamtest.Inbox
	ask := func() answer {
		in := streamtest.NewInbox(t, r.space)
		open = append(open, in)
		return r.api("STREAM.SNAPSHOT.S", fmt.Sprintf(`{"deliver_subject":%q,"chunk_size":1024,"window_size":1024}`, in.Subject))
	}
	for range 4 {
		if a := ask(); a.Error != nil {
			t.Fatalf("%+v", *a.Error)
		}
	}
	if a := ask(); a.Error == nil || a.Error.ErrCode != wire.CodeStreamSnapshot {
		t.Fatalf("a fifth: %+v", a.Error)
	}
	// A stop of the server waits for none of them.
	begun := time.Now()
	r.Stop()
	if took := time.Since(begun); took > 4*time.Second {
		t.Fatalf("stopping took %s", took)
	}
}
