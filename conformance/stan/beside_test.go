package stan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go/pb"
	"github.com/weirmq/weir/conformance/harness"
)

// side is one of two servers that are asked the same, and what came of it. The requests are
// the protocol's own: no client's library is between.
type side struct {
	t       *testing.T
	nc      *nats.Conn
	monitor string
	said    []string
	other   []string                      // what the other one said, if it was asked before
	boxes   map[string]*nats.Subscription // where messages go, by the script's name
	acks    map[string]string             // inboxes for acknowledgements, by the same
	conns   map[string]string             // connection ids, by client
	guid    int
}

// startSide starts a server with the flags that both have.
func startSide(t *testing.T, bin string, flags ...string) *side {
	t.Helper()
	port, monitor := freePort(t), freePort(t)
	s := &side{
		t: t, monitor: "http://127.0.0.1:" + monitor,
		boxes: map[string]*nats.Subscription{}, acks: map[string]string{}, conns: map[string]string{},
	}
	all := []string{"-a", "127.0.0.1", "-p", port, "-m", monitor, "-cid", cluster, "-store", "FILE", "-dir", filepath.Join(t.TempDir(), "store")}
	cmd := exec.Command(bin, append(all, flags...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has served
		_ = cmd.Wait()
	})
	harness.Eventually(t, "the server listens", func() bool {
		var err error
		s.nc, err = nats.Connect("nats://127.0.0.1:" + port)
		return err == nil
	})
	t.Cleanup(s.nc.Close)
	harness.Eventually(t, "the streaming server answers", func() bool {
		_, err := s.nc.Request("_STAN.sub."+cluster, nil, patience)
		return err == nil
	})
	return s
}

// compare runs a script against nats-streaming-server and weir, and compares what they say.
func compare(t *testing.T, script func(s *side), flags ...string) {
	t.Helper()
	old, err := oldBinary()
	if err != nil {
		t.Fatal(err)
	}
	a, b := startSide(t, old, flags...), startSide(t, harness.Binary(), flags...)
	script(a)
	b.other = a.said
	script(b)
	for i := range max(len(a.said), len(b.said)) {
		x, y := "nothing", "nothing"
		if i < len(a.said) {
			x = a.said[i]
		}
		if i < len(b.said) {
			y = b.said[i]
		}
		if x != y {
			t.Fatalf("behind\n  %s\nthe old server says\n  %s\nand weir\n  %s", strings.Join(a.said[max(0, i-3):i], "\n  "), x, y)
		}
	}
}

func (s *side) say(format string, args ...any) { s.said = append(s.said, fmt.Sprintf(format, args...)) }

// message is any of the protocol's.
type message interface {
	Marshal() ([]byte, error)
	Unmarshal(b []byte) error
	String() string
}

func (s *side) encode(m message) []byte {
	s.t.Helper()
	b, err := m.Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// ask sends a request and says what the answer is.
func (s *side) ask(what, subject string, data []byte, answer message) {
	s.t.Helper()
	m, err := s.nc.Request(subject, data, patience)
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	if err := answer.Unmarshal(m.Data); err != nil {
		s.say("%s: %q", what, m.Data)
		return
	}
	if r, ok := answer.(*pb.SubscriptionResponse); ok && r.AckInbox != "" {
		answer = &pb.SubscriptionResponse{AckInbox: "an inbox", Error: r.Error}
	}
	s.say("%s: %s", what, answer)
}

func (s *side) discover(what string, r *pb.ConnectRequest) {
	s.t.Helper()
	s.ask(what, "_STAN.discover."+cluster, s.encode(r), &pb.ConnectResponse{})
}

// connect begins a session. Where it does not answer nobody listens for its heartbeats.
func (s *side) connect(id string, answers bool) {
	s.t.Helper()
	in := nats.NewInbox()
	if answers {
		if _, err := s.nc.Subscribe(in, func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil { // who asks waits for it
			s.t.Fatal(err)
		}
	}
	s.conns[id] = id + in
	s.discover("connect "+id, &pb.ConnectRequest{ClientID: id, HeartbeatInbox: in, Protocol: 1, ConnID: []byte(s.conns[id]), PingInterval: 5, PingMaxOut: 88})
}

// publish sends one message. Its subject on the wire is not the channel's: that is in the
// message.
func (s *side) publish(id, channel, data string, change ...func(*pb.PubMsg)) {
	s.t.Helper()
	s.guid++
	m := &pb.PubMsg{ClientID: id, ConnID: []byte(s.conns[id]), Guid: fmt.Sprint("g", s.guid), Subject: channel, Data: []byte(data)}
	for _, f := range change {
		f(m)
	}
	s.ask(fmt.Sprintf("publish %q to %q", data, channel), "_STAN.pub."+cluster+".any", s.encode(m), &pb.PubAck{})
}

func (s *side) publishAll(id, channel string, first, last int) {
	s.t.Helper()
	for i := first; i <= last; i++ {
		s.publish(id, channel, fmt.Sprint(i))
	}
}

func (s *side) subscribe(name, id, channel string, change ...func(*pb.SubscriptionRequest)) {
	s.t.Helper()
	in := nats.NewInbox()
	box, err := s.nc.SubscribeSync(in)
	if err != nil {
		s.t.Fatal(err)
	}
	s.boxes[name] = box
	r := &pb.SubscriptionRequest{ClientID: id, Subject: channel, Inbox: in, MaxInFlight: 1024, AckWaitInSecs: 3600}
	for _, f := range change {
		f(r)
	}
	m, err := s.nc.Request("_STAN.sub."+cluster, s.encode(r), patience)
	var a pb.SubscriptionResponse
	if err == nil {
		err = a.Unmarshal(m.Data)
	}
	if err != nil {
		s.t.Fatalf("subscribe %s: %v", name, err)
	}
	s.acks[name] = a.AckInbox
	s.say("subscribe %s: an inbox: %v, error %q", name, a.AckInbox != "", a.Error)
}

// take waits for so many messages, and says what comes besides. Of one that is not in order
// it says what, and not when.
func (s *side) take(name string, n int) {
	s.t.Helper()
	var got []*pb.MsgProto
	for len(got) < n || n == 0 {
		wait := patience
		if n == 0 {
			wait = lull
		}
		m, err := s.boxes[name].NextMsg(wait)
		if n == 0 && errors.Is(err, nats.ErrTimeout) {
			break
		}
		var p pb.MsgProto
		if err == nil {
			err = p.Unmarshal(m.Data)
		}
		if err != nil || m.Reply != "" || p.Timestamp <= 0 {
			s.t.Fatalf("%s: message %d: %v, %+v", name, len(got)+1, err, m)
		}
		p.Timestamp = 0
		got = append(got, &p)
	}
	slices.SortStableFunc(got, func(a, b *pb.MsgProto) int { return int(a.Sequence) - int(b.Sequence) })
	for _, p := range got {
		s.say("%s gets %s", name, p)
	}
	if n > 0 {
		s.take(name, 0)
	}
}

// lull is how long nothing comes where nothing more is to come.
const lull = 150 * time.Millisecond

func (s *side) ack(name, channel string, seqs ...uint64) {
	s.t.Helper()
	for _, seq := range seqs {
		if err := s.nc.Publish(s.acks[name], s.encode(&pb.Ack{Subject: channel, Sequence: seq})); err != nil {
			s.t.Fatal(err)
		}
	}
}

// end sends a request to unsubscribe or to close a subscription.
func (s *side) end(verb, id, channel, inbox string) {
	s.t.Helper()
	s.ask(verb+" "+channel, "_STAN."+verb+"."+cluster, s.encode(&pb.UnsubscribeRequest{ClientID: id, Subject: channel, Inbox: inbox}), &pb.SubscriptionResponse{})
}

func (s *side) close(id string) {
	s.t.Helper()
	s.ask("close "+id, "_STAN.close."+cluster, s.encode(&pb.CloseRequest{ClientID: id}), &pb.CloseResponse{})
}

func (s *side) ping(conn string) {
	s.t.Helper()
	s.ask("ping", "_STAN.discover."+cluster+".pings", s.encode(&pb.Ping{ConnID: []byte(conn)}), &pb.PingResponse{})
}

// get says what the monitoring shows, without what differs each time. Weir's may be behind
// by a moment: it has a while to say the same as the other one.
func (s *side) get(path string) {
	s.t.Helper()
	for late := time.Now().Add(behind); ; {
		s.look(path)
		n := len(s.said)
		if n > len(s.other) || s.said[n-1] == s.other[n-1] || time.Now().After(late) {
			return
		}
		s.said = s.said[:n-1]
		time.Sleep(lull / 10)
	}
}

// behind is how long the monitoring may be so.
const behind = 5 * time.Second

func (s *side) look(path string) {
	s.t.Helper()
	r, err := http.Get(s.monitor + "/streaming/" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var v any
	if json.Unmarshal(b, &v) != nil {
		s.say("%s: %d %q", path, r.StatusCode, b)
		return
	}
	if b, err = json.Marshal(blank(v)); err != nil {
		s.t.Fatal(err)
	}
	s.say("%s: %d %s %s", path, r.StatusCode, r.Header.Get("Content-Type"), b)
}

// varies are the fields whose values say nothing, and bytes, which each server counts in
// its own way.
var varies = []string{
	"server_id", "now", "start_time", "uptime", "version", "go", "hb_inbox", "inbox", "ack_inbox", "total_bytes", "bytes", "open_fds", "max_fds",
}

// blank puts their type in the place of values that vary, and lists of subscriptions in an
// order: the old server has none.
func blank(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if v[k] = blank(x); slices.Contains(varies, k) {
				v[k] = fmt.Sprintf("%T", x)
			}
		}
		if list, ok := v["subscriptions"].([]any); ok {
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		if v["queue_name"] != nil {
			delete(v, "last_sent") // of a member; weir tells that of its group
		}
	case []any:
		for i := range v {
			v[i] = blank(v[i])
		}
	}
	return v
}

// withFile are the flags for a configuration.
func withFile(t *testing.T, text string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stan.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-sc", file}
}

// sortFrom puts what was said in an order, where the script had none.
func sortFrom(said []string) { slices.Sort(said) }
