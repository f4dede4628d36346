package journal

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listener is a Completer that remembers and can be waited for.
type listener struct {
	mu      sync.Mutex
	cond    *sync.Cond
	durable []uint64
	failed  []error
}

func newListener() *listener {
	l := &listener{}
	l.cond = sync.NewCond(&l.mu)
	return l
}

func (l *listener) Durable(upto uint64) {
	l.mu.Lock()
	l.durable = append(l.durable, upto)
	l.cond.Broadcast()
	l.mu.Unlock()
}

func (l *listener) Failed(err error) {
	l.mu.Lock()
	l.failed = append(l.failed, err)
	l.cond.Broadcast()
	l.mu.Unlock()
}

func (l *listener) last() uint64 {
	if len(l.durable) == 0 {
		return 0
	}
	return l.durable[len(l.durable)-1]
}

func (l *listener) upto() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last()
}

// wait gives when index is durable, or the journal failed.
func (l *listener) wait(t testing.TB, index uint64) error {
	t.Helper()
	limit := time.AfterFunc(20*time.Second, func() {
		l.mu.Lock()
		l.failed = append(l.failed, errors.New("nothing heard in time"))
		l.cond.Broadcast()
		l.mu.Unlock()
	})
	defer limit.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.last() < index && len(l.failed) == 0 {
		l.cond.Wait()
	}
	if l.last() >= index {
		return nil
	}
	return l.failed[0]
}

// kept is one replayed entry, with its data as a string.
type kept struct {
	Group       GroupID
	Term, Index uint64
	Kind        uint8
	Data        string
}

func keep(e Entry) kept { return kept{e.Group, e.Term, e.Index, e.Kind, string(e.Data)} }

func open(t testing.TB, fs *faultfs.FS, change ...func(*Options)) (*Journal, []kept) {
	t.Helper()
	j, got, err := tryOpen(fs, change...)
	must(t, err)
	return j, got
}

func tryOpen(fs *faultfs.FS, change ...func(*Options)) (*Journal, []kept, error) {
	o := Options{FS: fs, Dir: "j", FileSize: 64 << 10, MaxBytes: 512 << 10, OwnThread: true}
	for _, c := range change {
		c(&o)
	}
	var got []kept
	j, err := Open(o, func(e Entry) error { got = append(got, keep(e)); return nil })
	return j, got, err
}

func entryData(g GroupID, index uint64) []byte {
	size := index * 37 % 300
	if index%5 == 0 {
		size *= 20
	}
	return fmt.Appendf(nil, "group %d index %d %s", g, index, bytes.Repeat([]byte{'x'}, int(size)))
}

func appendOne(t testing.TB, j *Journal, g *Group, index uint64) {
	t.Helper()
	must(t, j.Append(g, 1, index, 7, Urgent, entryData(g.id, index)))
}

func TestEntriesComeBackInOrder(t *testing.T) {
	for _, direct := range []bool{false, true} {
		fs := faultfs.New()
		fs.SetDirect(direct)
		j, got := open(t, fs)
		if len(got) != 0 {
			t.Fatalf("a new journal replays %v", got)
		}
		l := newListener()
		g := j.Group(3, l)
		for i := uint64(1); i <= 100; i++ {
			appendOne(t, j, g, i)
		}
		must(t, l.wait(t, 100))
		must(t, j.Close())
		j, got = open(t, fs)
		if !j.Recovered().Clean || len(got) != 100 {
			t.Fatalf("recovered %+v, %d entries", j.Recovered(), len(got))
		}
		for i, k := range got {
			if want := (kept{3, 1, uint64(i + 1), 7, string(entryData(3, uint64(i+1)))}); k != want {
				t.Fatalf("entry %d is %v, want %v", i, k, want)
			}
		}
		must(t, j.Close())
	}
}
