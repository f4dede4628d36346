package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// segmentReads counts the calls that read segments.
type segmentReads struct{ n atomic.Int64 }

func (c *segmentReads) Inject(op faultfs.Op) *faultfs.Fault {
	if op.Kind == faultfs.Read && strings.HasSuffix(op.Name, ".seg") {
		c.n.Add(1)
	}
	return nil
}

func (c *segmentReads) String() string { return "count reads of segments" }

// warnings are what a server warned of.
type warnings struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *warnings) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// openWarned opens a server on a disk and gives what it warns of.
func openWarned(t *testing.T, disk *faultfs.FS) (*node, *warnings) {
	t.Helper()
	told := &warnings{}
	c := defaultConfig()
	c.JetStream.StoreDir = "data"
	c.settle()
	r, err := buildOn(disk, c, slog.New(slog.NewTextHandler(told, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	r.start(context.Background())
	return &node{t, r, r.spaces.Get("$G")}, told
}

// manySubjects fills a stream with records on n subjects, each twice, and stops.
func manySubjects(t *testing.T, disk *faultfs.FS, n int) {
	t.Helper()
	s, _ := openWarned(t, disk)
	s.request("$JS.API.STREAM.CREATE.MANY", `{"name":"MANY","subjects":["many.>"],"storage":"file"}`)
	for range 2 {
		for i := range n {
			s.request(fmt.Sprintf("many.%d", i), "x")
		}
	}
	s.shut()
}

// wantSubjects holds what the stream tells of its subjects against n.
func wantSubjects(t *testing.T, s *node, n int) {
	t.Helper()
	info := s.request("$JS.API.STREAM.INFO.MANY", `{"subjects_filter":">"}`)
	state := info["state"].(map[string]any)
	if got := state["num_subjects"]; got != float64(n) {
		t.Fatalf("%v subjects, want %d", got, n)
	}
	all := state["subjects"].(map[string]any)
	for name, count := range all {
		if count != 2.0 {
			t.Fatalf("%v records of %s", count, name)
		}
	}
	if len(all) != n {
		t.Fatalf("%d subjects are listed, want %d", len(all), n)
	}
}

func TestACleanStartReadsNoRecords(t *testing.T) {
	disk := faultfs.New()
	manySubjects(t, disk, 300)
	reads := &segmentReads{}
	disk.Inject(reads)
	s, told := openWarned(t, disk)
	defer s.shut()
	if n := reads.n.Load(); n != 0 {
		t.Errorf("%d reads of segments", n)
	}
	wantSubjects(t, s, 300)
	if told.String() != "" {
		t.Errorf("told: %s", told)
	}
}

func TestADamagedSubjectIndexIsMadeAgainAndTold(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*faultfs.FS, string) error
	}{
		{"head", func(fs *faultfs.FS, run string) error { return fs.Corrupt(run, 20, 1) }},
		{"block", func(fs *faultfs.FS, run string) error { return fs.Corrupt(run, 100, 1) }},
		{"missing", func(fs *faultfs.FS, run string) error { return fs.Remove(run) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := faultfs.New()
			manySubjects(t, disk, 100)
			if err := c.harm(disk, runOf(t, disk)); err != nil {
				t.Fatal(err)
			}
			s, told := openWarned(t, disk)
			wantSubjects(t, s, 100)
			if !strings.Contains(told.String(), "made again") || !strings.Contains(told.String(), "MANY") {
				t.Errorf("told: %s", told)
			}
			s.shut()
			s, told = openWarned(t, disk)
			defer s.shut()
			wantSubjects(t, s, 100)
			if told.String() != "" {
				t.Errorf("told after it was mended: %s", told)
			}
		})
	}
}

// Subjects that changed leave memory by checkpoints when there are too many.
func TestManyChangedSubjectsAreSaved(t *testing.T) {
	s, told := openWarned(t, faultfs.New())
	defer s.shut()
	s.storage.indexes.most.Store(5000)
	s.request("$JS.API.STREAM.CREATE.MANY", `{"name":"MANY","subjects":["many.>"],"storage":"file"}`)
	const n = 13_000
	for i := range n {
		s.request(fmt.Sprintf("many.%d", i), "x")
	}
	tick, late := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for s.storage.indexes.held.Load() > 5000 {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%d subjects are held", s.storage.indexes.held.Load())
		}
	}
	if got := s.streams.Find("$G", "MANY").Partition().Status(); got.Subjects != n || got.Records != n {
		t.Fatalf("%+v", got)
	}
	if told.String() != "" {
		t.Errorf("told: %s", told)
	}
}

func TestSubjectsOnDiskAreEncrypted(t *testing.T) {
	for key, shown := range map[string]bool{"": true, "secret": false} {
		dir := t.TempDir()
		e := EncryptionConfig{}
		if key != "" {
			e = testKey(key)
		}
		s := openWith(t, dir, e)
		s.request("$JS.API.STREAM.CREATE.MANY", `{"name":"MANY","subjects":["many.>"],"storage":"file"}`)
		for i := range 100 {
			s.request(fmt.Sprintf("many.marksubject.%d", i), "x")
		}
		s.shut()
		run := false
		for _, name := range showing(t, dir, "marksubject") {
			run = run || strings.HasSuffix(name, ".run")
		}
		if run != shown {
			t.Errorf("key %q: a run shows subjects: %v", key, run)
		}
		s = openWith(t, dir, e)
		if st := s.streams.Find("$G", "MANY").Partition().Status(); st.Subjects != 100 {
			t.Errorf("key %q: %+v", key, st)
		}
		s.shut()
	}
}

// runOf finds the only run there is.
func runOf(t *testing.T, disk *faultfs.FS) string {
	t.Helper()
	dirs, err := disk.List("data/streams")
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	names, err := disk.List("data/streams/" + dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".run") {
			return "data/streams/" + dirs[0] + "/" + name
		}
	}
	t.Fatalf("no run in %v", names)
	return ""
}
