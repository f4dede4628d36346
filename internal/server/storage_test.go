package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func FuzzUnseal(f *testing.F) {
	f.Add([]byte{})
	f.Add(seal(nil))
	f.Add(seal([]byte("content")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := unseal(seal(b)); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%q came back as %q, %v", b, got, err)
		}
		got, err := unseal(b)
		if err == nil && !bytes.Equal(seal(got), b) {
			t.Fatal("what was unsealed seals to something else")
		}
		if err != nil && !errors.Is(err, record.ErrDamaged) {
			t.Fatal(err)
		}
	})
}

func TestAFlippedBitInASealedFileIsFound(t *testing.T) {
	good := seal([]byte("content"))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := unseal(bad); !errors.Is(err, record.ErrDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

func TestADirectorySurvivesWithWhatIsAboveIt(t *testing.T) {
	fs := faultfs.New()
	if err := makeDir(fs, "a/b/c"); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.CrashClone(faultfs.DropUnsynced, 1).Stat("a/b/c"); err != nil {
		t.Fatal(err)
	}
	if err := makeDir(vfs.OS{}, filepath.Join(t.TempDir(), "x", "y")); err != nil {
		t.Fatal(err)
	}
}

// node is the rooms of a server without listeners.
type node struct {
	t *testing.T
	*rooms
	space *broker.Space
}

func open(t *testing.T, dir string) *node { return openOn(t, vfs.OS{}, dir) }

func openOn(t *testing.T, disk vfs.FS, dir string) *node {
	t.Helper()
	c := defaultConfig()
	c.JetStream.StoreDir = dir
	c.settle()
	r, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.start(context.Background())
	return &node{t, r, r.spaces.Get("$G")}
}

func (n *node) shut() {
	n.t.Helper()
	if err := n.close(context.Background()); err != nil {
		n.t.Error(err)
	}
}

// request sends a message and reads the answer as JSON, which is no error.
func (n *node) request(subject, body string) map[string]any {
	n.t.Helper()
	m := n.try(subject, body)
	if m["error"] != nil {
		n.t.Fatalf("%s: %v", subject, m)
	}
	return m
}

// try sends a message and reads the answer as JSON.
func (n *node) try(subject, body string) map[string]any {
	n.t.Helper()
	in := &inbox{c: make(chan []byte, 1)}
	sub := &broker.Subscription{Subject: "_INBOX.test", Kind: broker.KindClient, Sink: in}
	n.space.Subscribe(sub)
	defer n.space.Unsubscribe(sub)
	n.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(sub.Subject), Data: []byte(body)})
	select {
	case b := <-in.c:
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			n.t.Fatalf("%s: %s, %v", subject, b, err)
		}
		return m
	case <-time.After(20 * time.Second):
		n.t.Fatalf("%s: no answer", subject)
		return nil
	}
}

type inbox struct{ c chan []byte }

func (i *inbox) OpenStage(*broker.Publisher) broker.Stage { return i }
func (i *inbox) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	i.c <- bytes.Clone(m.Data)
	return broker.Staged
}
func (i *inbox) HandOver() {}

// copyDir copies the directory of a running server. The journal may rename a file
// that it makes ahead meanwhile: then it begins anew.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	var err error
	for range 50 {
		if err = os.CopyFS(to, os.DirFS(from)); err == nil {
			return
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal(err)
}

// TestWhatWasAcknowledgedIsThereAfterAKill copies the data directory of a running
// server, as a kill leaves it, and opens the copy.
func TestWhatWasAcknowledgedIsThereAfterAKill(t *testing.T) {
	dir := t.TempDir()
	n := open(t, filepath.Join(dir, "0"))
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.>"]}`)
	n.request("$JS.API.CONSUMER.DURABLE.CREATE.S.c", `{"stream_name":"S","config":{"durable_name":"c","ack_policy":"explicit"}}`)
	stored := 0
	for round := 1; round <= 4; round++ {
		for range 50 {
			stored++
			if a := n.request(fmt.Sprintf("s.%d", stored%7), fmt.Sprint(stored)); a["seq"] != float64(stored) {
				t.Fatalf("acknowledged with %v, want %d", a, stored)
			}
		}
		if round == 2 {
			if err := n.storage.checkpointAll(); err != nil {
				t.Fatal(err)
			}
		}
		next := filepath.Join(dir, fmt.Sprint(round))
		copyDir(t, next, filepath.Join(dir, fmt.Sprint(round-1)))
		n.shut()
		n = open(t, next)
		p := n.streams.Find("$G", "S").Partition()
		if st := p.Status(); st.Records != uint64(stored) || st.Last != uint64(stored) {
			t.Fatalf("round %d: %d were acknowledged, there is %+v", round, stored, st)
		}
		for seq := 1; seq <= stored; seq++ {
			if v, err := p.Get(uint64(seq)); err != nil || string(v.Data) != fmt.Sprint(seq) {
				t.Fatalf("round %d: record %d is %q, %v", round, seq, v.Data, err)
			}
		}
		n.request("$JS.API.CONSUMER.INFO.S.c", "")
	}
	n.shut()
}

func TestReloadedLimitsBoundWhatAnAccountStores(t *testing.T) {
	limit := int64(100)
	b := newBudgets(-1, -1, nil, func(string) (int64, int64) { return limit, -1 })
	account := b.of("A", false)
	if !account.Reserve(100) || account.Reserve(1) {
		t.Fatal("the limit does not bound")
	}
	limit = 150
	b.reload()
	if !account.Reserve(50) || account.Reserve(1) {
		t.Fatal("the new limit does not bound")
	}
	account.Return(150)
	account.Return(10) // of records that were stored before the limit was lowered
	if b.disk.used.Load() != 0 {
		t.Fatalf("%d bytes are still counted", b.disk.used.Load())
	}
}

func TestTwoServersNeverShareADirectory(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	defer n.shut()
	c := defaultConfig()
	c.JetStream.StoreDir = dir
	c.settle()
	if r, err := build(c, slog.New(slog.DiscardHandler)); err == nil {
		_ = r.close(context.Background())
		t.Fatal("a second server opened the directory")
	}
}

// A kill between the deletion of a stream and the removal of its files leaves
// them; what the catalog never knew is not the server's to remove.
func TestFilesThatADeletionLeftGoAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	n.request("s", "x")
	if err := n.storage.checkpointAll(); err != nil {
		t.Fatal(err)
	}
	ids, err := n.storage.volume.Logs()
	if err != nil || len(ids) != 1 {
		t.Fatalf("logs %v, %v", ids, err)
	}
	left := filepath.Join(dir, "streams", fmt.Sprintf("%d-%d", ids[0].ID, ids[0].Incarnation))
	if err := os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(left)); err != nil {
		t.Fatal(err)
	}
	n.request("$JS.API.STREAM.DELETE.S", "")
	n.shut()
	foreign := filepath.Join(dir, "streams", "999-1")
	for _, name := range []string{left, foreign} {
		if err := os.CopyFS(name, os.DirFS(filepath.Join(dir, "copy"))); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir).shut()
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the deleted stream's files: %v", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("files of a stream that was never known: %v", err)
	}
}

func TestAMemoryStreamKeepsItsConfigurationOverARestart(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"],"storage":"memory"}`)
	n.request("$JS.API.STREAM.UPDATE.S", `{"name":"S","subjects":["s","t"],"storage":"memory","max_msgs":3}`)
	next := t.TempDir()
	copyDir(t, next, dir) // as a kill leaves it: by the journal alone
	n.shut()
	for _, dir := range []string{dir, next} {
		n := open(t, dir)
		s := n.streams.Find("$G", "S")
		if s == nil || len(s.Config().Subjects) != 2 || s.Partition().Limits().MaxRecords != 3 {
			t.Errorf("after a restart: %+v", s.Config())
		}
		n.request("t", "x")
		n.shut()
	}
}

func TestADeletedStreamLeavesNoFiles(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	n.request("s", "x")
	if err := n.storage.checkpointAll(); err != nil {
		t.Fatal(err)
	}
	streams := func() int {
		entries, err := os.ReadDir(filepath.Join(dir, "streams"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if streams() != 1 {
		t.Fatalf("%d directories of streams", streams())
	}
	n.request("$JS.API.STREAM.DELETE.S", "")
	n.shut()
	if streams() != 0 {
		t.Fatalf("%d directories of streams are left", streams())
	}
	n = open(t, dir)
	if got := n.streams.List(""); len(got) != 0 {
		t.Fatalf("streams %v", got)
	}
	n.shut()
}

// Without its catalog a directory is refused, unless the journal still has all of
// it: what is lost is never taken for deleted.
func TestAMissingCatalogIsNoEmptyOne(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	n.request("s", "x")
	n.shut()
	for _, gone := range [][]string{{"catalog"}, {"catalog.copy", "catalog"}} { // first there is a copy, then the journal
		for _, name := range gone {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		n = open(t, dir)
		if n.streams.Find("$G", "S") == nil {
			t.Fatalf("without %v the stream is gone", gone)
		}
		n.shut()
	}
	for _, gone := range []string{"catalog", "catalog.copy", "journal"} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	c := defaultConfig()
	c.JetStream.StoreDir = dir
	c.settle()
	r, err := build(c, slog.New(slog.DiscardHandler))
	if err == nil {
		_ = r.close(context.Background())
	}
	if !errors.Is(err, record.ErrDamaged) {
		t.Fatalf("a directory with segments and no catalog: %v", err)
	}
	if logs, err := filepath.Glob(filepath.Join(dir, "streams", "*", "manifest")); err != nil || len(logs) != 1 {
		t.Fatalf("files of the stream: %v, %v", logs, err)
	}
}

func TestManySmallStreamsAreCheckpointedTogetherWhereTheJournalGrows(t *testing.T) {
	long, full := journal.Pressure{Unreleased: 15, Max: 10}, journal.Pressure{Max: 10, NoSpace: syscall.ENOSPC}
	for groups, want := range map[int]int{0: 4, 1: 4, 64: 4, 128: 8, 1000: 16} {
		for _, p := range []journal.Pressure{long, full} {
			if got := relievers(groups, &p); got != want {
				t.Errorf("%d groups are checkpointed %d at a time, not %d, under %+v", groups, got, want, p)
			}
		}
		for unreleased, want := range map[int64]int{8: 1, 11: 1, 13: relieversFew} {
			if got := relievers(groups, &journal.Pressure{Unreleased: unreleased, Max: 10}); got != want {
				t.Errorf("%d groups are checkpointed %d at a time, not %d, with a journal of %d of 10", groups, got, want, unreleased)
			}
		}
	}
}
