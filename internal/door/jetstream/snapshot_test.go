package jetstream

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// taken is a snapshot that a client got.
type taken struct {
	config, state json.RawMessage
	bytes         []byte
	chunks        int
	status        string // of the last message
}

// take asks for a snapshot and answers its chunks.
func (r *rig) take(name, more string) taken {
	r.t.Helper()
	in := streamtest.NewInbox(r.t, r.space)
	defer in.Close()
	m := streamtest.Request(r.t, r.space, "$JS.API.STREAM.SNAPSHOT."+name, nil, fmt.Appendf(nil, `{"deliver_subject":%q%s}`, in.Subject, more))
	var resp struct {
		Type          string
		Error         *wire.Error
		Config, State json.RawMessage
	}
	if err := json.Unmarshal(m.Data, &resp); err != nil || resp.Error != nil || resp.Type != wire.KindStreamSnapshot.Type() {
		r.t.Fatalf("%v: %s", err, m.Data)
	}
	out := taken{config: resp.Config, state: resp.State}
	for {
		m := in.Next(r.t)
		if len(m.Data) == 0 {
			out.status = strings.TrimSpace(string(m.Header))
			return out
		}
		out.bytes = append(out.bytes, m.Data...)
		out.chunks++
		if m.Reply != "" {
			r.space.Publish(answerTo(m.Reply))
		}
	}
}

// upload asks for a restore and uploads a backup in chunks. It returns the answer to
// the last message that it sent.
func (r *rig) upload(name string, config json.RawMessage, b []byte, size int) answer {
	r.t.Helper()
	m := streamtest.Request(r.t, r.space, "$JS.API.STREAM.RESTORE."+name, nil, fmt.Appendf(nil, `{"config":%s,"state":{}}`, config))
	a := r.decode(m.Data)
	if a.Error != nil {
		return a
	}
	var resp wire.RestoreResponse
	if err := json.Unmarshal(m.Data, &resp); err != nil || resp.DeliverSubject == "" {
		r.t.Fatalf("%v: %s", err, m.Data)
	}
	for len(b) > 0 {
		k := min(size, len(b))
		if m := streamtest.Request(r.t, r.space, resp.DeliverSubject, nil, b[:k]); len(m.Data) > 0 {
			return r.decode(m.Data)
		}
		b = b[k:]
	}
	return r.decode(streamtest.Request(r.t, r.space, resp.DeliverSubject, nil, nil).Data)
}

// filled makes a stream S with gaps at both ends and inside, headers, and consumers
// in the middle of their work.
func (r *rig) filled() {
	r.t.Helper()
	r.stream("S", "s.>", `"max_msgs_per_subject":3`, `"allow_rollup_hdrs":true`)
	for i := range 30 {
		kv := []string{}
		if i%3 == 0 {
			kv = []string{"Nats-Msg-Id", fmt.Sprint("id", i), "X", "y"}
		}
		r.stored(uint64(i+1), fmt.Sprintf("s.%d", i%5), noise(i*100), kv...)
	}
	for _, seq := range []int{18, 22, 23, 30} {
		r.ok("STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d}`, seq))
	}
	r.consumer("S", "c", `"max_deliver":7`)
	r.consumer("S", "filtered", `"filter_subject":"s.2"`)
	msgs := r.fetch("S", "c", 5)
	r.ack(msgs[0], "")
	r.ack(msgs[2], "")
	r.ack(msgs[3], "-NAK")
	r.fetch("S", "c", 1) // again
	r.ack(r.fetch("S", "filtered", 1)[0], "")
}

// all lists what a stream holds as a client sees it.
func (r *rig) all(name string) string {
	r.t.Helper()
	var out strings.Builder
	a := r.ok("STREAM.INFO."+name, `{"deleted_details":true}`)
	for seq := a.State.FirstSeq; seq <= a.State.LastSeq; seq++ {
		m := streamtest.Request(r.t, r.space, "$JS.API.STREAM.MSG.GET."+name, nil, fmt.Appendf(nil, `{"seq":%d}`, seq))
		if i := bytes.Index(m.Data, []byte(`"message"`)); i >= 0 {
			fmt.Fprintf(&out, "%s\n", m.Data[i:])
		}
	}
	return out.String()
}

// described gives what must be the same of a stream and its consumers.
func (r *rig) described(name string) string {
	r.t.Helper()
	a := r.ok("STREAM.INFO."+name, `{"deleted_details":true}`)
	out := fmt.Sprintf("%+v\n", a.State)
	for _, c := range []string{"c", "filtered"} {
		i := r.info(name, c)
		out += fmt.Sprintf("%s: %+v %+v pending %d of %d, again %d\n", c, i.Delivered, i.AckFloor, i.NumAckPending, i.NumPending, i.NumRedelivered)
	}
	return out + r.all(name)
}

func TestAStreamComesBackFromItsSnapshot(t *testing.T) {
	r := newRig(t)
	r.filled()
	want := r.described("S")
	s := r.take("S", `,"chunk_size":2048,"window_size":4096`)
	if s.status != "NATS/1.0 204" || s.chunks < 5 {
		t.Fatalf("%d chunks, %q", s.chunks, s.status)
	}
	r.ok("STREAM.DELETE.S", "")
	other := newRig(t) // another server
	for _, r := range []*rig{r, other} {
		if a := r.upload("S", s.config, s.bytes, 1000); a.Error != nil {
			t.Fatalf("%+v", *a.Error)
		}
		if got := r.described("S"); got != want {
			t.Fatalf("restored:\n%s\nwant:\n%s", got, want)
		}
		if r = r.restart(); r.described("S") != want {
			t.Fatalf("after a restart:\n%s\nwant:\n%s", r.described("S"), want)
		}
		// It goes on where it was: sequences, duplicates, redelivery.
		if a := r.publish("s.1", "", "Nats-Msg-Id", "id27"); !a.Duplicate || a.Seq != 28 {
			t.Fatalf("a duplicate is stored at %d, %+v", a.Seq, a.Error)
		}
		r.stored(31, "s.9", "new")
		if again := r.take("S", ""); again.status != "NATS/1.0 204" && again.status != "" {
			t.Fatal(again.status)
		}
		r.refused(wire.CodeStreamNameExistRestore, "STREAM.RESTORE.S", fmt.Sprintf(`{"config":%s,"state":{}}`, s.config))
	}
}

func TestASmallSnapshotEndsWithoutAStatus(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	s := r.take("S", "")
	if s.status != "" || s.chunks != 1 {
		t.Fatalf("%d chunks, %q", s.chunks, s.status)
	}
	r.ok("STREAM.DELETE.S", "")
	if a := r.upload("S", s.config, s.bytes, 1<<20); a.Error != nil || a.State.Messages != 0 {
		t.Fatalf("%+v", a)
	}
	r.stored(1, "s", "first")
}

func TestConsumersAreLeftOutOnDemand(t *testing.T) {
	r := newRig(t)
	r.filled()
	s := r.take("S", `,"no_consumers":true`)
	in, err := backup.NewReader(bytes.NewReader(s.bytes))
	if err != nil || in.Head().Consumers != 0 {
		t.Fatalf("%+v, %v", in, err)
	}
}

func TestASnapshotRequestIsHeldToItsRules(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	r.refused(wire.CodeBadRequest, "STREAM.SNAPSHOT.S", "")
	for _, bad := range []string{"", "a..b", "a.*", "a b", ">"} {
		r.refused(wire.CodeSnapshotDeliverSubject, "STREAM.SNAPSHOT.S", fmt.Sprintf(`{"deliver_subject":%q}`, bad))
	}
	r.refused(wire.CodeStreamNotFound, "STREAM.SNAPSHOT.X", `{"deliver_subject":"a"}`)
	r.refused(wire.CodeBadRequest, "STREAM.RESTORE.T", "")
	r.refused(wire.CodeStreamMismatch, "STREAM.RESTORE.T", `{"config":{"name":"X"},"state":{}}`)
	r.refused(wire.CodeStreamNameExistRestore, "STREAM.RESTORE.S", `{"config":{"name":"S"},"state":{}}`)
	r.refused(wire.CodeSubjectOverlap, "STREAM.RESTORE.T", `{"config":{"subjects":["s"]},"state":{}}`)
}

func TestADamagedBackupIsRefusedAndLeavesNothing(t *testing.T) {
	r := newRig(t)
	r.filled()
	s := r.take("S", "")
	r.ok("STREAM.DELETE.S", "")
	for i, at := range []int{3, 40, len(s.bytes) / 3, len(s.bytes) / 2, len(s.bytes) - 3} {
		bad := bytes.Clone(s.bytes)
		bad[at] ^= 1 << (i % 8)
		a := r.upload("S", s.config, bad, 4096)
		if a.Error == nil || a.Error.ErrCode != wire.CodeStreamRestore {
			t.Fatalf("byte %d: %+v", at, a.Error)
		}
		if want := "offset"; at > 8 && !strings.Contains(a.Error.Description, want) {
			t.Fatalf("byte %d: %q does not say where", at, a.Error.Description)
		}
		r.refused(wire.CodeStreamNotFound, "STREAM.INFO.S", "")
	}
	if a := r.upload("S", s.config, s.bytes[:len(s.bytes)-1], 4096); a.Error == nil {
		t.Fatal("one byte may be missing")
	}
	if a := r.upload("S", s.config, s.bytes, 4096); a.Error != nil {
		t.Fatalf("the whole one: %+v", *a.Error)
	}
}

// noise is text that does not compress.
func noise(n int) string {
	b := make([]byte, n/2)
	rng := rand.New(rand.NewSource(int64(n)))
	for i := range b {
		b[i] = byte(rng.Int())
	}
	return hex.EncodeToString(b)
}

func answerTo(reply string) *broker.Message { return &broker.Message{Subject: []byte(reply)} }

func TestASnapshotWaitsForItsReceiver(t *testing.T) {
	r := newRig(t)
	r.filled()
	// A client's answers come by a wildcard; the receiver of the snapshot subscribes once
	// it has its answer.
	all := streamtest.Subscribe(t, r.space, "_INBOX.client.*")
	r.ok("STREAM.SNAPSHOT.S", `{"deliver_subject":"_INBOX.client.snapshot"}`)
	select {
	case m := <-all.C:
		t.Fatalf("%d bytes came before the receiver was there", len(m.Data))
	case <-time.After(3 * interestLook):
	}
	in := streamtest.Subscribe(t, r.space, "_INBOX.client.snapshot")
	if m := in.Next(t); len(m.Data) == 0 {
		t.Fatalf("the snapshot begins with %q", m.Header)
	}
	// Who listens by a wildcard only gets it, too, a while later.
	r.ok("STREAM.SNAPSHOT.S", `{"deliver_subject":"_INBOX.client.other"}`)
	for m := all.Next(t); ; m = all.Next(t) {
		if m.Subject == "_INBOX.client.other" {
			if len(m.Data) == 0 {
				t.Fatalf("the snapshot begins with %q", m.Header)
			}
			return
		}
	}
}
