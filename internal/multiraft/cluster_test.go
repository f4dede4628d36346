package multiraft

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
)

// disk is a group's storage in memory. Nothing is durable before sync.
type disk struct {
	g        *Group
	pending  []Entry
	durable  []Entry
	released uint64
	until    uint8 // a kind of entry, after which nothing gets durable any more
	stopped  bool
}

func (d *disk) Append(term, index uint64, kind uint8, _ bool, parts ...[]byte) {
	if kind == KindHard || kind == KindMark {
		s, err := DecodeState(parts[0])
		if err != nil || s.Commit > d.g.log.applied {
			panic(fmt.Sprintf("state %+v after entry %d was applied: %v", s, d.g.log.applied, err))
		}
	}
	d.pending = append(d.pending, Entry{Term: term, Index: index, Kind: kind, Data: slices.Concat(parts...)})
}

func (d *disk) Release(index uint64) { d.released = max(d.released, index) }

// sync makes everything durable; false if there was nothing.
func (d *disk) sync() bool {
	if len(d.pending) == 0 || d.stopped {
		return false
	}
	if at := slices.IndexFunc(d.pending, func(e Entry) bool { return e.Kind == d.until }); at >= 0 && d.until != 0 {
		d.pending, d.stopped = d.pending[:at+1], true
	}
	last := d.pending[len(d.pending)-1].Index
	d.durable, d.pending = append(d.durable, d.pending...), nil
	d.g.Durable(last)
	return true
}

// drop forgets from the beginning what a journal could have recycled: its files
// go in order, and each holds a few entries.
func (d *disk) drop() {
	const file = 3
	for len(d.durable) >= file {
		for _, e := range d.durable[:file] {
			if e.Index > d.released {
				return
			}
		}
		d.durable = d.durable[file:]
	}
}

// list is a machine: what was applied, in order.
type list struct {
	node    *node
	Values  []string
	Index   uint64
	stable  []byte // the checkpoint
	staged  []byte
	window  Window
	told    []string
	members Members
	err     error
}

func (l *list) Apply(e Entry) {
	if e.Index <= l.Index {
		l.node.t.Errorf("node %d: entry %d applied after %d", l.node.id, e.Index, l.Index)
	}
	l.Index = e.Index
	if e.Kind >= FirstOwnKind {
		return
	}
	l.Values = append(l.Values, string(e.Data))
	if e.Value != nil {
		l.told = append(l.told, fmt.Sprint("applied ", e.Value))
	}
}
func (l *list) Settled()        {}
func (l *list) Discard(e Entry) { l.told = append(l.told, fmt.Sprint("discarded ", e.Value)) }
func (l *list) Failed(err error) {
	l.err = err
}
func (l *list) Led(w Window)                { l.window = w; l.told = append(l.told, fmt.Sprint("led ", w.Term)) }
func (l *list) Deposed(term uint64)         { l.told = append(l.told, fmt.Sprint("deposed ", term)) }
func (l *list) Changed(_ uint64, m Members) { l.members = m }
func (l *list) Position() []byte            { return fmt.Append(nil, l.Index) }

func (l *list) state() []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	return b
}

func (l *list) Applied() uint64 {
	if l.stable != nil {
		if err := json.Unmarshal(l.stable, l); err != nil {
			panic(err)
		}
	}
	return l.Index
}

// checkpoint makes the state durable outside the log.
func (l *list) checkpoint() {
	l.stable = l.state()
	l.node.g.Release(l.Index)
}

func (l *list) Snapshot([]byte) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.state())), nil
}

func (l *list) Stage(_ uint64, r io.ReadCloser, done func(error)) {
	b, err := io.ReadAll(r)
	if err == nil && !json.Valid(b) {
		err = io.ErrUnexpectedEOF
	}
	l.staged = b
	done(err)
}

func (l *list) Install(_ uint64, done func(error)) {
	l.stable = l.staged
	l.Applied()
	done(nil)
}

// node is one copy with all that is its own.
type node struct {
	t    *testing.T
	c    *cluster
	id   uint32
	pool *Pool
	g    *Group
	disk *disk
	list *list
	cut  bool // sends and gets nothing
	held bool // does not sync
}

// cluster joins nodes by a queue of messages.
type cluster struct {
	t       *testing.T
	members Members
	nodes   []*node
	queue   []Message
	streams []queued
	seen    func(Message) // of each message sent
}

type queued struct {
	m    Message
	body []byte
}

const groupID = 7

func newCluster(t *testing.T, nodes int) *cluster {
	c := &cluster{t: t}
	for i := range nodes {
		c.members.Voters = append(c.members.Voters, NewCopyID(uint32(i+1), 1))
	}
	for i := range nodes {
		c.nodes = append(c.nodes, c.start(uint32(i+1), &disk{}, nil))
	}
	return c
}

// start makes a node from what is durable.
func (c *cluster) start(id uint32, d *disk, stable []byte) *node {
	n := &node{t: c.t, c: c, id: id, disk: d}
	n.list = &list{node: n, stable: stable}
	n.pool = NewPool(0, n)
	g, err := NewGroup(Options{
		ID: groupID, Copy: NewCopyID(id, 1), Members: c.members, Replica: n.list, KeepBytes: 64,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range d.durable {
		if err := g.Replay(e); err != nil {
			c.t.Fatal(err)
		}
	}
	d.g, n.g = g, g
	d.pending = nil
	if err := g.Start(n.pool, d); err != nil {
		c.t.Fatal(err)
	}
	n.pool.RunAll()
	return n
}

// restart crashes a node.
func (c *cluster) restart(i int) {
	old := c.nodes[i]
	c.nodes[i] = c.start(old.id, &disk{durable: old.disk.durable}, old.list.stable)
}

func (n *node) Send(_ uint32, batch []Message) {
	for _, m := range batch {
		if n.c.seen != nil {
			n.c.seen(m)
		}
	}
	if !n.cut {
		n.c.queue = append(n.c.queue, batch...)
	}
}

func (n *node) Stream(_ uint32, m Message, body io.ReadCloser) {
	b, err := io.ReadAll(body)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := body.Close(); err != nil {
		n.t.Fatal(err)
	}
	if !n.cut {
		n.c.streams = append(n.c.streams, queued{m, b})
	}
}

func (c *cluster) node(id CopyID) *node {
	for _, n := range c.nodes {
		if n.id == NodeOf(id) && !n.cut {
			return n
		}
	}
	return nil
}

// settle delivers and syncs until nothing moves.
func (c *cluster) settle() {
	for moved := true; moved; {
		moved = false
		for _, n := range c.nodes {
			n.pool.RunAll()
			if !n.held && n.disk.sync() {
				moved = true
			}
			n.pool.RunAll()
		}
		queue, streams := c.queue, c.streams
		c.queue, c.streams = nil, nil
		for _, m := range queue {
			moved = true
			if n := c.node(m.To); n != nil {
				n.pool.Receive([]Message{m})
			}
		}
		for _, s := range streams {
			moved = true
			if n := c.node(s.m.To); n != nil {
				n.pool.ReceiveStream(s.m, io.NopCloser(bytes.NewReader(s.body)))
			}
		}
	}
}

// tick moves all clocks on.
func (c *cluster) tick(times int) {
	for range times {
		for _, n := range c.nodes {
			n.pool.Tick()
		}
		c.settle()
	}
}

// elect makes a node the leader.
func (c *cluster) elect(i int) *node {
	c.t.Helper()
	n := c.nodes[i]
	for range 10 {
		if l := c.node(n.g.Leader()); l != nil && l != n {
			l.g.Transfer(NewCopyID(n.id, 1))
		} else {
			n.g.Campaign()
		}
		c.settle()
		if n.g.Term() != 0 {
			return n
		}
		c.tick(10)
	}
	c.t.Fatalf("node %d does not lead", n.id)
	return nil
}

func (n *node) propose(values ...string) {
	for _, v := range values {
		n.g.Propose(n.list.window, 1, v, []byte(v))
	}
	n.c.settle()
}

func (c *cluster) wantValues(i int, want ...string) {
	c.t.Helper()
	if got := c.nodes[i].list.Values; !slices.Equal(got, want) {
		c.t.Fatalf("node %d has %q, want %q", i+1, got, want)
	}
}
