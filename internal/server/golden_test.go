package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	stdflag "flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

var update = stdflag.Bool("update", false, "write the golden directory of this version if it is missing")

// goldenData is the data directory of a server of this version that was stopped,
// without its journal, which has nothing then, the lock and the reserve.
const goldenData = "testdata/golden-1.tar.gz"

// mailbox keeps what comes with where to answer.
type mailbox struct{ c chan [2]string }

func (m *mailbox) OpenStage(*broker.Publisher) broker.Stage { return m }
func (m *mailbox) HandOver()                                {}
func (m *mailbox) Add(_ *broker.Subscription, msg *broker.Message) broker.Verdict {
	m.c <- [2]string{string(msg.Reply), string(msg.Data)}
	return broker.Staged
}

// pull asks a consumer for n messages and gives where to acknowledge them.
func (n *node) pull(stream, consumer string, count string, want int) []string {
	n.t.Helper()
	in := &mailbox{c: make(chan [2]string, 64)}
	sub := &broker.Subscription{Subject: "_INBOX.pull", Kind: broker.KindClient, Sink: in}
	n.space.Subscribe(sub)
	defer n.space.Unsubscribe(sub)
	n.space.Publish(&broker.Message{
		Subject: []byte("$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer), Reply: []byte(sub.Subject),
		Data: []byte(`{"batch":` + count + `,"expires":20000000000}`),
	})
	var acks []string
	for len(acks) < want {
		select {
		case m := <-in.c:
			acks = append(acks, m[0])
		case <-time.After(20 * time.Second):
			n.t.Fatalf("%d of %d messages came", len(acks), want)
		}
	}
	return acks
}

// confirm acknowledges and waits until that is confirmed.
func (n *node) confirm(ack string) {
	n.t.Helper()
	in := &mailbox{c: make(chan [2]string, 1)}
	sub := &broker.Subscription{Subject: "_INBOX.confirm", Kind: broker.KindClient, Sink: in}
	n.space.Subscribe(sub)
	defer n.space.Unsubscribe(sub)
	n.space.Publish(&broker.Message{Subject: []byte(ack), Reply: []byte(sub.Subject), Data: []byte("+ACK")})
	select {
	case <-in.c:
	case <-time.After(20 * time.Second):
		n.t.Fatal("an acknowledgement is not confirmed")
	}
}

// fillGolden makes what the golden directory has.
func fillGolden(n *node) {
	n.request("$JS.API.STREAM.CREATE.ORDERS", `{"name":"ORDERS","subjects":["orders.>"],"storage":"file","allow_msg_ttl":true,"metadata":{"of":"golden"}}`)
	n.request("$JS.API.CONSUMER.DURABLE.CREATE.ORDERS.BOOKS",
		`{"stream_name":"ORDERS","config":{"durable_name":"BOOKS","ack_policy":"explicit","ack_wait":3600000000000000}}`)
	for i := range 60 {
		n.request("orders."+strings.Repeat("x", i%7+1), strings.Repeat("data ", i))
	}
	n.request("$JS.API.STREAM.MSG.DELETE.ORDERS", `{"seq":10}`)
	for _, ack := range n.pull("ORDERS", "BOOKS", "5", 5)[:3] {
		n.confirm(ack)
	}
	n.request("$JS.API.STREAM.CREATE.KV_settings", `{"name":"KV_settings","subjects":["$KV.settings.>"],"storage":"file","max_msgs_per_subject":2,"compression":"s2","allow_rollup_hdrs":true,"allow_direct":true}`)
	for range 4 {
		n.request("$KV.settings.colour", "green")
		n.request("$KV.settings.size", "large")
	}
	n.request("$JS.API.STREAM.CREATE.GONE", `{"name":"GONE","subjects":["gone"],"storage":"file"}`)
	n.request("$JS.API.STREAM.DELETE.GONE", "")
}

// checkGolden looks for what fillGolden made.
func checkGolden(t *testing.T, n *node) {
	state := n.request("$JS.API.STREAM.INFO.ORDERS", "")["state"].(map[string]any)
	if state["messages"] != 59.0 || state["last_seq"] != 60.0 || state["num_deleted"] != 1.0 || state["num_subjects"] != 7.0 {
		t.Errorf("ORDERS: %v", state)
	}
	c := n.request("$JS.API.CONSUMER.INFO.ORDERS.BOOKS", "")
	if floor := c["ack_floor"].(map[string]any); floor["stream_seq"] != 3.0 || c["num_ack_pending"] != 2.0 || c["num_pending"] != 54.0 {
		t.Errorf("BOOKS: %v", c)
	}
	m := n.request("$JS.API.STREAM.MSG.GET.ORDERS", `{"seq":3}`)["message"].(map[string]any)
	if m["subject"] != "orders.xxx" || m["data"] != "ZGF0YSBkYXRhIA==" {
		t.Errorf("message 3: %v", m)
	}
	if m := n.try("$JS.API.STREAM.MSG.GET.ORDERS", `{"seq":10}`); m["error"] == nil {
		t.Errorf("message 10 was deleted: %v", m)
	}
	state = n.request("$JS.API.STREAM.INFO.KV_settings", "")["state"].(map[string]any)
	if state["messages"] != 4.0 || state["first_seq"] != 5.0 {
		t.Errorf("KV_settings: %v", state)
	}
	if m := n.try("$JS.API.STREAM.INFO.GONE", ""); m["error"] == nil {
		t.Errorf("GONE is there: %v", m)
	}
}

func TestADirectoryThatThisVersionWroteIsOpened(t *testing.T) {
	if _, err := os.Stat(goldenData); err != nil && *update {
		dir := t.TempDir()
		n := open(t, dir)
		fillGolden(n)
		n.shut()
		pack(t, dir)
	}
	dir := t.TempDir()
	unpack(t, dir)
	for range 2 { // also what this version makes of it
		n := open(t, dir)
		checkGolden(t, n)
		n.shut()
	}
	n := open(t, dir)
	n.request("orders.y", "it goes on")
	if left := n.pull("ORDERS", "BOOKS", "3", 3); len(left) != 3 {
		t.Errorf("%d messages", len(left))
	}
	n.shut()
}

func pack(t *testing.T, dir string) {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, name := range []string{"journal", LockFile, "reserve"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), z.Close(), os.MkdirAll(filepath.Dir(goldenData), 0o755))
	if err = errors.Join(err, os.WriteFile(goldenData, out.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(goldenData)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(name, 0o750)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, b, fs.FileMode(0o640)))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
