package multiraft

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is a machine that only counts.
type counter struct {
	list
	mu   sync.Mutex
	done int
	led  chan struct{}
	all  chan struct{}
	want int
}

func (c *counter) Apply(e Entry) {
	if e.Kind >= FirstOwnKind {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done++; c.done == c.want {
		close(c.all)
	}
}
func (c *counter) Led(w Window)            { c.window = w; close(c.led) }
func (c *counter) Discard(Entry)           {}
func (c *counter) Deposed(uint64)          {}
func (c *counter) Changed(uint64, Members) {}
func (c *counter) Applied() uint64         { return 0 }

// instant is a storage where all is durable at once.
type instant struct{ g *Group }

func (s instant) Append(_, index uint64, _ uint8, _ bool, _ ...[]byte) { s.g.Durable(index) }
func (s instant) Release(uint64)                                       {}

// direct joins pools without a network.
type direct struct {
	mu    sync.Mutex
	pools map[uint32]*Pool
	calls int
	sent  int
}

func (d *direct) Send(node uint32, batch []Message) {
	d.mu.Lock()
	p := d.pools[node]
	d.calls++
	d.sent += len(batch)
	d.mu.Unlock()
	p.Receive(batch)
}

func (d *direct) Stream(_ uint32, _ Message, body io.ReadCloser) { _ = body.Close() }

func TestManyGroupsRunOnFewWorkers(t *testing.T) {
	const groups, entries = 200, 20
	d := &direct{pools: map[uint32]*Pool{}}
	var members Members
	for n := uint32(1); n <= 3; n++ {
		d.pools[n] = NewPool(2, d)
		members.Voters = append(members.Voters, NewCopyID(n, 1))
	}
	var machines []*counter
	for id := uint64(1); id <= groups; id++ {
		for n := uint32(1); n <= 3; n++ {
			m := &counter{led: make(chan struct{}), all: make(chan struct{}), want: entries}
			g, err := NewGroup(Options{ID: id, Copy: NewCopyID(n, 1), Members: members, Replica: m})
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(d.pools[n], instant{g}); err != nil {
				t.Fatal(err)
			}
			machines = append(machines, m)
			if n == 3 {
				g.Campaign()
				wait(t, m.led, "leadership")
				for i := range entries {
					g.Propose(m.window, 1, nil, fmt.Append(nil, i))
				}
			}
		}
	}
	for _, m := range machines {
		wait(t, m.all, "all entries")
	}
	for _, p := range d.pools {
		p.Close()
	}
}

func TestMessagesOfManyGroupsGoTogether(t *testing.T) {
	d := &direct{pools: map[uint32]*Pool{}}
	members := Members{Voters: []CopyID{NewCopyID(1, 1), NewCopyID(2, 1), NewCopyID(3, 1)}}
	for n := uint32(1); n <= 3; n++ {
		d.pools[n] = NewPool(0, d)
	}
	for id := uint64(1); id <= 10; id++ {
		g, err := NewGroup(Options{ID: id, Copy: NewCopyID(1, 1), Members: members, Replica: &list{node: &node{t: t}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Start(d.pools[1], &disk{g: g}); err != nil {
			t.Fatal(err)
		}
		g.Campaign()
	}
	d.pools[1].RunAll()
	if d.calls != 2 || d.sent != 20 {
		t.Errorf("%d messages went in %d calls, want 20 in 2", d.sent, d.calls)
	}
}

func wait(t *testing.T, c chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
	}
}

func TestMessagesForAnotherLifeAreDropped(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(0)
	closed := false
	c.nodes[0].pool.ReceiveStream(Message{Group: groupID, To: NewCopyID(1, 2)}, &sending{
		ReadCloser: io.NopCloser(nil), done: func() { closed = true },
	})
	if !closed {
		t.Error("a stream that nobody reads stays open")
	}
	c.nodes[0].pool.Receive([]Message{{Group: groupID, To: NewCopyID(1, 2)}, {Group: 99, To: NewCopyID(1, 1)}})
	c.settle()
	if c.nodes[0].list.err != nil || c.nodes[0].g.Term() == 0 {
		t.Error("a message for another copy had an effect")
	}
}

func TestClosedPoolTakesNoGroups(t *testing.T) {
	c := newCluster(t, 1)
	c.nodes[0].pool.Close()
	g, err := NewGroup(Options{ID: 9, Copy: NewCopyID(1, 1), Members: c.members, Replica: &list{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(c.nodes[0].pool, &disk{}); err == nil {
		t.Error("a closed pool takes a group")
	}
}
