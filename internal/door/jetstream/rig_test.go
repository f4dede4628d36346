package jetstream

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a node that serves JetStream, and what a client does there.
type rig struct {
	t *testing.T
	*streamtest.Node
	space *broker.Space
}

func newRig(t *testing.T) *rig { return newRigFor(t, &account.Account{Name: "A"}) }

func newRigFor(t *testing.T, a *account.Account) *rig {
	a.JetStream.Enabled = true
	return on(t, streamtest.Start(t, rigOptions(a)))
}

func rigOptions(a *account.Account) streamtest.Options {
	return streamtest.Options{
		Dialects: map[string]stream.Dialect{DialectName: Dialect{}},
		Outlet:   func() stream.Outlet { return new(Outlet) },
		Serve: func(d *stream.Directory, s *broker.Space) func() {
			door := New(Options{ServerName: "n", Version: "2.12.0", MaxPayload: 1 << 20, Log: slog.New(slog.DiscardHandler)})
			door.Start(d)
			return door.Serve(s, func() *account.Account { return a })
		},
	}
}

func on(t *testing.T, n *streamtest.Node) *rig { return &rig{t: t, Node: n, space: n.Space("A")} }

func (r *rig) restart() *rig { return on(r.t, r.Node.Restart()) }

// answer is what any response may have.
type answer struct {
	Error *struct {
		Code, ErrCode int
		Description   string
	}
	Config  json.RawMessage
	State   struct{ Messages, Bytes, FirstSeq, LastSeq, NumSubjects, NumDeleted, ConsumerCount uint64 }
	Name    string
	Success bool
	Purged  uint64
	Streams []json.RawMessage
	Message *struct {
		Subject    string
		Seq        uint64
		Data, Hdrs []byte
	}
	Stream         string
	Seq            uint64
	Duplicate      bool
	Val, Batch     string
	Count          uint64
	Type           string
	Msgs           int
	LastSeq        uint64
	NumPending     uint64
	NumAckPending  int
	NumWaiting     int
	NumRedelivered int
	PushBound      bool
	Paused         bool
	ResetSeq       uint64
	PriorityGroups []struct{ Group, PinnedClientId, PinnedTs string }
	Delivered      struct{ ConsumerSeq, StreamSeq uint64 }
	AckFloor       struct{ ConsumerSeq, StreamSeq uint64 }
}

// decode reads a response: its keys have underscores, the fields have none.
func (r *rig) decode(b []byte) answer {
	r.t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(withoutUnderscores(string(b))), &a); err != nil {
		r.t.Fatalf("%v in %s", err, b)
	}
	return a
}

// withoutUnderscores takes them out of keys: what stands before a colon.
func withoutUnderscores(s string) string {
	parts := strings.Split(s, `":`)
	for i := range len(parts) - 1 {
		at := strings.LastIndexByte(parts[i], '"')
		parts[i] = parts[i][:at] + strings.ReplaceAll(parts[i][at:], "_", "")
	}
	return strings.Join(parts, `":`)
}

// api sends a request and returns its answer.
func (r *rig) api(subject, body string) answer {
	r.t.Helper()
	return r.decode(streamtest.Request(r.t, r.space, "$JS.API."+subject, nil, []byte(body)).Data)
}

// ok sends a request that must succeed.
func (r *rig) ok(subject, body string) answer {
	r.t.Helper()
	a := r.api(subject, body)
	if a.Error != nil {
		r.t.Fatalf("%s: %+v", subject, *a.Error)
	}
	return a
}

// refused sends a request that must fail with an error.
func (r *rig) refused(code int, subject, body string) {
	r.t.Helper()
	if a := r.api(subject, body); a.Error == nil || a.Error.ErrCode != code {
		r.t.Fatalf("%s: error %+v, want %d", subject, a.Error, code)
	}
}

// stream creates a stream; more are further keys of its configuration.
func (r *rig) stream(name, subjects string, more ...string) {
	r.t.Helper()
	r.ok("STREAM.CREATE."+name, streamConfig(name, subjects, more...))
}

func streamConfig(name, subjects string, more ...string) string {
	b, _ := json.Marshal(strings.Fields(subjects))
	return fmt.Sprintf(`{"name":%q,"subjects":%s%s}`, name, b, keys(more))
}

func keys(more []string) string {
	if len(more) == 0 {
		return ""
	}
	return "," + strings.Join(more, ",")
}

// consumer creates a durable consumer, with acknowledgements unless more says
// otherwise.
func (r *rig) consumer(stream, name string, more ...string) answer {
	r.t.Helper()
	return r.ok("CONSUMER.DURABLE.CREATE."+stream+"."+name, durableConfig(stream, name, more...))
}

func durableConfig(stream, name string, more ...string) string {
	ack := `,"ack_policy":"explicit"`
	if strings.Contains(strings.Join(more, ""), "ack_policy") {
		ack = ""
	}
	return fmt.Sprintf(`{"stream_name":%q,"config":{"durable_name":%q%s%s}}`, stream, name, ack, keys(more))
}

func header(kv ...string) []byte {
	var b strings.Builder
	b.WriteString("NATS/1.0\r\n")
	for i := 0; i < len(kv); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", kv[i], kv[i+1])
	}
	return []byte(b.String() + "\r\n")
}

// publish stores a message and returns its acknowledgement.
func (r *rig) publish(subject, data string, kv ...string) answer {
	r.t.Helper()
	var h []byte
	if len(kv) > 0 {
		h = header(kv...)
	}
	return r.decode(streamtest.Request(r.t, r.space, subject, h, []byte(data)).Data)
}

// stored publishes a message that must get a sequence.
func (r *rig) stored(seq uint64, subject, data string, kv ...string) {
	r.t.Helper()
	if a := r.publish(subject, data, kv...); a.Error != nil || a.Seq != seq || a.Duplicate {
		r.t.Fatalf("publish to %s: %+v, error %+v, want sequence %d", subject, a.Seq, a.Error, seq)
	}
}

func (r *rig) denied(code int, subject, data string, kv ...string) {
	r.t.Helper()
	if a := r.publish(subject, data, kv...); a.Error == nil || a.Error.ErrCode != code {
		r.t.Fatalf("publish to %s: sequence %d, error %+v, want %d", subject, a.Seq, a.Error, code)
	}
}

// pull asks for messages.
func (r *rig) pull(stream, consumer, body string) *streamtest.Inbox {
	r.t.Helper()
	return streamtest.Send(r.t, r.space, "$JS.API.CONSUMER.MSG.NEXT."+stream+"."+consumer, nil, []byte(body))
}

// fetch pulls what is there, at most n messages.
func (r *rig) fetch(stream, consumer string, n int) []streamtest.Msg {
	r.t.Helper()
	in := r.pull(stream, consumer, fmt.Sprintf(`{"batch":%d,"no_wait":true}`, n))
	defer in.Close()
	var out []streamtest.Msg
	for len(out) < n {
		m := in.Next(r.t)
		if strings.HasPrefix(string(m.Header), "NATS/1.0 ") {
			break // no more
		}
		out = append(out, m)
	}
	return out
}

// got lists messages as subject=data.
func got(msgs []streamtest.Msg) string {
	var out []string
	for _, m := range msgs {
		out = append(out, m.Subject+"="+string(m.Data))
	}
	return strings.Join(out, " ")
}

func (r *rig) wantFetch(stream, consumer string, n int, want string) []streamtest.Msg {
	r.t.Helper()
	msgs := r.fetch(stream, consumer, n)
	if s := got(msgs); s != want {
		r.t.Fatalf("%s got %q, want %q", consumer, s, want)
	}
	return msgs
}

// ack acknowledges and waits for the confirmation.
func (r *rig) ack(m streamtest.Msg, body string) {
	r.t.Helper()
	if a := streamtest.Request(r.t, r.space, m.Reply, nil, []byte(body)); len(a.Data) > 0 || len(a.Header) > 0 {
		r.t.Fatalf("%s %s was answered with %s%s", body, m.Reply, a.Header, a.Data)
	}
}

func (r *rig) info(stream, consumer string) answer {
	r.t.Helper()
	return r.ok("CONSUMER.INFO."+stream+"."+consumer, "")
}

func within(t *testing.T, c <-chan streamtest.Msg) (streamtest.Msg, bool) {
	t.Helper()
	select {
	case m := <-c:
		return m, true
	case <-time.After(streamtest.Patience):
		return streamtest.Msg{}, false
	}
}
