package liftbridge_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

// imported is what weir says of a partition.
type imported struct {
	Name     string
	Messages uint64
	FirstSeq uint64 `json:"first_seq"`
	LastSeq  uint64 `json:"last_seq"`
	Cursors  int
	There    bool
	Verified bool
	Notes    []string
	Error    string
}

// importLift runs an import into a server, and gives what it says by the names in weir.
func importLift(t *testing.T, s *harness.Server, wantStatus int, args ...string) map[string]imported {
	t.Helper()
	status, out, errs := s.CLI(nil, append([]string{"import", "liftbridge", "--json"}, args...)...)
	if status != wantStatus {
		t.Fatalf("status %d, want %d\n%s\n%s", status, wantStatus, out, errs)
	}
	var list []imported
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	all := map[string]imported{}
	for _, i := range list {
		all[i.Name] = i
	}
	return all
}

// isVerified says whether a partition came whole.
func isVerified(t *testing.T, i imported, messages, last uint64) {
	t.Helper()
	if !i.Verified || i.Messages != messages || i.LastSeq != last {
		t.Errorf("%+v; want %d messages, up to %d", i, messages, last)
	}
}

// oldDirectory writes the data directory that Liftbridge 1.9.0 left.
func oldDirectory(t *testing.T) string {
	t.Helper()
	f, err := os.Open("../../internal/wire/liftbridge/store/testdata/liftbridge-1.9.0.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return root.Name()
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			var b []byte
			if b, err = io.ReadAll(in); err == nil {
				err = errors.Join(root.MkdirAll(filepath.Dir(h.Name), 0o700), root.WriteFile(h.Name, b, 0o600))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestStreamsGoOnWhereTheOldDirectoryEnded imports a directory, and goes on through both
// doors.
func TestStreamsGoOnWhereTheOldDirectoryEnded(t *testing.T) {
	dir := oldDirectory(t)
	s, _, c := start(t, "")
	args := []string{dir, "--encryption-key", "0123456789abcdef", "--max-age", "876000h"}
	got := importLift(t, s, 0, args...)
	isVerified(t, got["events"], 3, 12)
	isVerified(t, got["orders:0"], 3, 3)
	isVerified(t, got["orders:1"], 3, 3)
	isVerified(t, got["secret"], 2, 2)
	if got["orders:0"].Cursors != 1 || got["orders:1"].There || got["orders:1"].Cursors != 1 {
		t.Errorf("%+v", got)
	}
	if err := c.SetCursor(deadline(t), "app", "orders", 0, 1); err != nil { // it moves on
		t.Fatal(err)
	}
	// Once more: everything is there, and stays as it is.
	got = importLift(t, s, 0, args...)
	if o := got["orders:0"]; !o.There || !strings.Contains(fmt.Sprint(o.Notes), "cursor app is at 1") {
		t.Errorf("again: %+v", o)
	}
	if at, err := c.FetchCursor(deadline(t), "__group:g", "orders", 1); err != nil || at != 0 {
		t.Errorf("the group's cursor is at %d, %v", at, err)
	}
	if ack, err := c.Publish(deadline(t), "orders", []byte("next"), lift.ToPartition(1), lift.AckPolicyAll()); err != nil || ack.Offset() != 3 {
		t.Errorf("%v, %v", ack, err)
	}
	in := receive(t, c, "orders", lift.StartAtEarliestReceived(), lift.Partition(1))
	if m := next(t, in); m.Offset() != 0 || string(m.Key()) != "\x00\x01\xff" || string(m.Value()) != "order 1" || m.Subject() != "orders.in.1" {
		t.Errorf("%+v", m)
	}
	in = receive(t, c, "orders", lift.StartAtOffset(1))
	if m := next(t, in); string(m.Headers()["bin"]) != "\x00\n\r\xff" || string(m.Headers()["text"]) != "a b" || m.Timestamp().UnixNano() <= 0 {
		t.Errorf("%+v", m)
	}
	if m := next(t, receive(t, c, "secret", lift.StartAtEarliestReceived())); string(m.Value()) != "nobody knows" {
		t.Errorf("%+v", m)
	}
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(t.Context(), "events")
	if err != nil {
		t.Fatal(err)
	}
	cfg := st.CachedInfo().Config
	if cfg.Metadata["weir.compact"] != "key" || cfg.Metadata["weir.import"] != "" || cfg.MaxAge.Hours() != 876000 {
		t.Errorf("%+v", cfg)
	}
	if m, err := st.GetMsg(t.Context(), 10); err != nil || string(m.Data) != "event 9" || m.Header.Get("Weir-Key") != "key0" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestStreamsComeFromARunningServer imports from weir, which speaks as Liftbridge does: from
// a stream with gaps, in two runs of which the first one is stopped by what is in its way.
func TestStreamsComeFromARunningServer(t *testing.T) {
	old, from, app := start(t, "")
	if err := app.CreateStream(deadline(t), "in.x", "a.b", lift.Partitions(2)); err != nil {
		t.Fatal(err)
	}
	source, target := old.Connect(), harness.Start(t, "")
	pour(t, source, "in.x.1", 1, 3000)
	js, err := jetstream.New(source)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(deadline(t), "a%2Eb:1")
	for _, seq := range []uint64{1, 2, 10, 2999, 3000} {
		if err == nil {
			err = st.DeleteMsg(deadline(t), seq)
		}
	}
	if err == nil {
		err = app.SetCursor(deadline(t), "c", "a.b", 1, 1234)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The first partition has something in its way.
	there, err := jetstream.New(target.Connect())
	if err == nil {
		_, err = there.CreateStream(deadline(t), jetstream.StreamConfig{Name: "a%2Eb:0", Subjects: []string{"other"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--from", from, "--work", filepath.Join(t.TempDir(), "work")}
	got := importLift(t, target, 1, append(args, "--keep")...)
	isVerified(t, got["a%2Eb:1"], 2995, 3000)
	if p := got["a%2Eb:0"]; p.Verified || !strings.Contains(p.Error, "is not this one") {
		t.Errorf("%+v", p)
	}
	if err := there.DeleteStream(deadline(t), "a%2Eb:0"); err != nil {
		t.Fatal(err)
	}
	pour(t, source, "in.x.1", 3001, 4000)
	pour(t, source, "in.x", 1, 10)
	// What was gathered is gone on with, and what was made of it is made anew.
	for range 2 { // the second time all is there
		got = importLift(t, target, 0, args...)
		isVerified(t, got["a%2Eb:0"], 10, 10)
		isVerified(t, got["a%2Eb:1"], 3995, 4000)
		if p := got["a%2Eb:1"]; p.Cursors != 1 || p.FirstSeq != 3 {
			t.Errorf("%+v", p)
		}
	}
	if _, err := os.Stat(args[3]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was gathered is left: %v", err)
	}
	m, err := there.Stream(deadline(t), "a%2Eb:1")
	if err != nil {
		t.Fatal(err)
	}
	one, err := m.GetMsg(deadline(t), 4000)
	if err != nil || string(one.Data) != "4000" || one.Subject != "in.x.1" || one.Header.Get("Weir-Key") != "k3" || one.Header.Get("Weir-Header-Base64") == "" {
		t.Errorf("%+v, %v", one, err)
	}
	// A stream that is complete is not continued.
	pour(t, source, "in.x", 11, 12)
	got = importLift(t, target, 1, args...)
	if p := got["a%2Eb:0"]; !strings.Contains(p.Error, "ends at sequence 10 instead of 12") {
		t.Errorf("%+v", p)
	}
}

// pour publishes headers, and numbers as messages, through NATS.
func pour(t *testing.T, nc *nats.Conn, subject string, first, last int) {
	t.Helper()
	inbox := nats.NewInbox()
	acks, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	for i := first; i <= last; i++ {
		m := lift.NewMessage(fmt.Append(nil, i), lift.Key(fmt.Append(nil, "k", i%7)), lift.Header("bin", []byte{0, byte(i)}), lift.AckInbox(inbox))
		if err := nc.Publish(subject, m); err != nil {
			t.Fatal(err)
		}
	}
	for range last - first + 1 {
		if _, err := acks.NextMsgWithContext(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
}
