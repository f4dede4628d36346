package simtest

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// node is one machine: a disk that outlives crashes, and what runs on it.
type node struct {
	s     *sim
	id    uint32
	fs    *faultfs.FS
	clock time.Duration // ahead of the true time
	life  int           // counts starts and crashes
	up    bool
	// rotten says that bits of the disk were flipped; they are behind the last batch
	// for sure once provenAt batches were synced.
	rotten   bool
	provenAt int
	copy     uint32 // which life of its copies this is

	pool     *multiraft.Pool
	disk     *disk
	replicas []*replica // of group i+1
}

func newNode(s *sim, id uint32) *node { return &node{s: s, id: id, fs: faultfs.New(), copy: 1} }

// copyID names its copies.
func (n *node) copyID() multiraft.CopyID { return multiraft.NewCopyID(n.id, n.copy) }

// start recovers what is on the disk. It must work after any crash; now and then
// the node crashes again while it does.
func (n *node) start() {
	s := n.s
	n.life++
	again := s.faults.crashInside && !s.calm && s.chance(6)
	if again {
		n.fs.StopAfter(n.fs.Ops() + uint64(s.rnd.IntN(60)))
	}
	err := n.build()
	s.trace("node %d starts: %v", n.id, err)
	switch {
	case again:
		s.saw("crash while starting")
		n.up = true
		n.crash(s.modes[s.rnd.IntN(len(s.modes))])
		n.comeBack()
		return
	case n.damaged(err):
		return
	case err != nil:
		s.fail("node %d does not start: %w", n.id, err)
		return
	}
	n.up, n.rotten = true, false
	s.model.started(n)
	n.work()
}

func (n *node) build() error {
	n.pool = multiraft.NewPool(0, transport{n})
	n.disk = &disk{n: n}
	n.replicas = nil
	for group := uint64(1); group <= uint64(n.s.groups); group++ {
		r, err := n.newReplica(group)
		if err != nil {
			return err
		}
		n.replicas = append(n.replicas, r)
	}
	err := n.disk.open(func(e journal.Entry) error {
		if e.Group < 1 || e.Group > journal.GroupID(n.s.groups) {
			return fmt.Errorf("entry of group %d", e.Group)
		}
		r := n.replicas[e.Group-1]
		me := multiraft.Entry{Term: e.Term, Index: e.Index, Kind: e.Kind, Data: e.Data}
		r.durable(me)
		return r.g.Replay(me)
	})
	if err != nil {
		return err
	}
	for _, r := range n.replicas {
		r.jg = n.disk.j.Group(journal.GroupID(r.group), completer{n.disk, r.group})
		if err := r.g.Start(n.pool, storage{r}); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) newReplica(group uint64) (*replica, error) {
	r := &replica{n: n, group: group}
	var err error
	if r.store, err = openStore(n.fs, fmt.Sprintf("store/%d", group), n.s.weak); err != nil {
		return nil, err
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	var members multiraft.Members
	for id := uint32(1); id <= nodeCount; id++ {
		members.Voters = append(members.Voters, multiraft.NewCopyID(id, 1))
	}
	r.g, err = multiraft.NewGroup(multiraft.Options{
		ID: group, Copy: n.copyID(), Members: members, Replica: r, KeepBytes: 4 << 10,
	})
	return r, err
}

// stop ends what runs, without a trace on the disk that a crash left.
func (n *node) stop() {
	n.up = false
	n.life++
	if n.disk != nil {
		n.disk.close()
		n.pool.Close()
	}
	n.disk = nil
}

// crash takes the power away.
func (n *node) crash(mode faultfs.Mode) {
	s := n.s
	s.trace("node %d crashes, disk %v", n.id, mode)
	s.saw("crash " + mode.String())
	if n.rotten && n.disk.batches < n.provenAt {
		// No node can tell damage in its last batch from a torn one.
		n.replaceDisk()
		return
	}
	fs := n.fs.CrashClone(mode, s.rnd.Uint64())
	// The journal of the old life must be able to end.
	n.fs.StopAfter(math.MaxUint64)
	n.stop()
	n.fs = fs
}

// comeBack starts the node again after a while.
func (n *node) comeBack() {
	life := n.life
	n.s.after(n.s.between(20*time.Millisecond, 2*time.Second), func() {
		if !n.up && n.life == life {
			n.start()
		}
	})
}

func (n *node) tick() {
	if n.up {
		n.pool.Tick()
		n.work()
	}
}

// work lets the groups do all that they can, and the disk begin.
func (n *node) work() {
	if !n.up {
		return
	}
	n.pool.RunAll()
	n.disk.flush()
}

// now is the node's own clock.
func (n *node) now() int64 { return int64(time.Hour + n.clock + n.s.now) }

// transport is a node's way to the network.
type transport struct{ n *node }

func (t transport) Send(_ uint32, batch []multiraft.Message) {
	for _, m := range batch {
		t.n.s.net.send(t.n.id, m)
	}
}

func (t transport) Stream(_ uint32, m multiraft.Message, body io.ReadCloser) {
	t.n.s.net.stream(t.n.id, m, body)
}
