package simtest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The nodes below run as in a server: workers, journals and links each have their
// own goroutines, and nothing waits for anything else. It is here for the race
// detector; no seed repeats it.

type liveNode struct {
	pool   *multiraft.Pool
	links  map[uint32]chan []multiraft.Message
	groups []*liveGroup
	j      *journal.Journal
}

// liveGroup is a machine that keeps the order of what it is given.
type liveGroup struct {
	g      *multiraft.Group
	mu     sync.Mutex
	window multiraft.Window
	seen   []string
	index  uint64
	more   chan struct{} // one deep: something was applied, or leadership changed
}

func (l *liveGroup) tell() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *liveGroup) Apply(e multiraft.Entry) {
	l.mu.Lock()
	if e.Kind < multiraft.FirstOwnKind {
		l.seen = append(l.seen, string(e.Data))
	}
	l.index = e.Index
	l.mu.Unlock()
	l.tell()
}

func (l *liveGroup) Led(w multiraft.Window) {
	l.mu.Lock()
	l.window = w
	l.mu.Unlock()
	l.tell()
}

func (l *liveGroup) Deposed(uint64)                    { l.Led(multiraft.Window{}) }
func (l *liveGroup) Discard(multiraft.Entry)           { l.Led(multiraft.Window{}) }
func (l *liveGroup) Settled()                          {}
func (l *liveGroup) Failed(error)                      {}
func (l *liveGroup) Applied() uint64                   { return 0 }
func (l *liveGroup) Changed(uint64, multiraft.Members) {}
func (l *liveGroup) Position() []byte                  { return nil }
func (l *liveGroup) Install(uint64, func(error))       {}
func (l *liveGroup) Snapshot([]byte) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(nil)), nil
}
func (l *liveGroup) Stage(_ uint64, r io.ReadCloser, done func(error)) { done(r.Close()) }

// state gives what was applied, and the window.
func (l *liveGroup) state() ([]string, multiraft.Window) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen), l.window
}

func (n *liveNode) Send(node uint32, batch []multiraft.Message) {
	select {
	case n.links[node] <- slices.Clone(batch):
	default: // dropped
	}
}

func (n *liveNode) Stream(_ uint32, _ multiraft.Message, body io.ReadCloser) { _ = body.Close() }

// liveStorage is a group of a journal.
type liveStorage struct {
	j *journal.Journal
	g *journal.Group
}

func (s liveStorage) Append(term, index uint64, kind uint8, _ bool, parts ...[]byte) {
	// A journal that fails says so to the group.
	_ = s.j.Append(s.g, term, index, kind, journal.Urgent, parts...)
}

func (s liveStorage) Release(index uint64) { s.g.Release(index) }

func TestGroupsOfLiveNodesAgree(t *testing.T) {
	const groups, entries = 20, 50
	var members multiraft.Members
	for id := uint32(1); id <= nodeCount; id++ {
		members.Voters = append(members.Voters, multiraft.NewCopyID(id, 1))
	}
	var nodes []*liveNode
	for id := uint32(1); id <= nodeCount; id++ {
		nodes = append(nodes, startLive(t, id, groups, members))
	}
	stop, done := make(chan struct{}), &sync.WaitGroup{}
	for _, n := range nodes {
		for to, link := range n.links {
			done.Go(func() {
				for batch := range link {
					nodes[to-1].pool.Receive(batch)
				}
			})
		}
		done.Go(func() { tickLive(n, stop) })
	}
	for g := range groups {
		publishLive(t, nodes, g, entries)
	}
	for g := range groups {
		want, _ := nodes[0].groups[g].state()
		for _, n := range nodes {
			if got, _ := n.groups[g].state(); !slices.Equal(got[:entries], want[:entries]) {
				t.Errorf("group %d: nodes have applied %q and %q", g+1, got[:entries], want[:entries])
			}
		}
	}
	close(stop)
	for _, n := range nodes {
		n.pool.Close()
		if err := n.j.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range nodes {
		for _, link := range n.links {
			close(link)
		}
	}
	done.Wait()
}

// tickLive moves a node's clocks on.
func tickLive(n *liveNode, stop chan struct{}) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			n.pool.Tick()
		}
	}
}

func startLive(t *testing.T, id uint32, groups int, members multiraft.Members) *liveNode {
	n := &liveNode{links: map[uint32]chan []multiraft.Message{}}
	for to := uint32(1); to <= nodeCount; to++ {
		if to != id {
			n.links[to] = make(chan []multiraft.Message, 256)
		}
	}
	n.pool = multiraft.NewPool(2, n)
	j, err := journal.Open(journal.Options{
		FS: faultfs.New(), Dir: "journal", FileSize: 1 << 20, Identity: uint64(id),
	}, func(journal.Entry) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	n.j = j
	for group := uint64(1); group <= uint64(groups); group++ {
		m := &liveGroup{more: make(chan struct{}, 1)}
		g, err := multiraft.NewGroup(multiraft.Options{ID: group, Copy: multiraft.NewCopyID(id, 1), Members: members, Replica: m})
		if err != nil {
			t.Fatal(err)
		}
		m.g = g
		if err := g.Start(n.pool, liveStorage{j, j.Group(journal.GroupID(group), g)}); err != nil {
			t.Fatal(err)
		}
		n.groups = append(n.groups, m)
	}
	return n
}

// publishLive proposes to whichever node leads until all have enough entries.
func publishLive(t *testing.T, nodes []*liveNode, g, entries int) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for wave := 0; ; wave++ {
		var behind *liveGroup
		for _, n := range nodes {
			m := n.groups[g]
			seen, w := m.state()
			if len(seen) < entries {
				behind = m
			}
			for i := 0; w.Term != 0 && len(seen) < entries && i < 5; i++ {
				m.g.Propose(w, 1, nil, fmt.Appendf(nil, "%d.%d", wave, i))
			}
		}
		if behind == nil {
			return
		}
		select {
		case <-behind.more:
		case <-again.C:
		case <-deadline:
			t.Fatalf("group %d does not get on", g+1)
		}
	}
}
