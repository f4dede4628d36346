package multiraft

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

func TestEntriesApplyInOneOrderOnAllCopies(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	leader.propose("a", "b")
	leader.propose("c")
	c.tick(1)
	for i := range c.nodes {
		c.wantValues(i, "a", "b", "c")
	}
	want := []string{"led 1", "applied a", "applied b", "applied c"}
	if !slices.Equal(leader.list.told, want) {
		t.Errorf("told %q, want %q", leader.list.told, want)
	}
}

func TestVoteIsAnsweredAfterItIsDurable(t *testing.T) {
	c := newCluster(t, 3)
	c.nodes[2].cut = true
	voter := c.nodes[1]
	voter.held = true
	answered := false
	c.seen = func(m Message) {
		if m.Raft.GetType() == raftpb.MsgVoteResp {
			answered = true
		}
	}
	c.nodes[0].g.Campaign()
	c.settle()
	if answered {
		t.Fatal("a vote was answered that is not durable")
	}
	if n := len(voter.disk.pending); n == 0 {
		t.Fatal("no vote was written")
	}
	voter.held = false
	c.settle()
	if !answered || c.nodes[0].g.Term() == 0 {
		t.Fatal("the durable vote was not answered")
	}
}

func TestEntryIsAcknowledgedAfterItIsDurableOnAMajority(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	c.nodes[1].held, c.nodes[2].held = true, true
	leader.propose("a")
	c.wantValues(0)
	c.nodes[1].held = false
	c.settle()
	c.wantValues(0, "a")
	// The leader's own copy is not needed for a majority, but it applies only what
	// it has itself.
	c.nodes[2].held = false
	leader.held = true
	leader.propose("b")
	c.wantValues(0, "a")
	leader.held = false
	c.tick(1)
	c.wantValues(0, "a", "b")
}

func TestRestartKeepsVoteAndEntries(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	leader.propose("a", "b", "c")
	before := c.nodes[1].g.log.state
	c.restart(1)
	after := c.nodes[1].g.log.state
	if after.Term != before.Term || after.Vote != before.Vote {
		t.Errorf("term %d and vote %x after a restart, before %d and %x", after.Term, after.Vote, before.Term, before.Vote)
	}
	c.restart(0)
	c.restart(2)
	c.elect(2)
	c.tick(1)
	for i := range c.nodes {
		c.wantValues(i, "a", "b", "c")
	}
}

func TestProposalsOfADeposedLeaderComeBackOnce(t *testing.T) {
	c := newCluster(t, 3)
	old := c.elect(0)
	old.propose("a")
	old.cut = true
	old.propose("lost")
	next := c.elect(1)
	next.propose("b")
	old.cut = false
	c.tick(3)
	old.g.Propose(old.list.window, 1, "late", []byte("late"))
	c.settle()
	for i := range c.nodes {
		c.wantValues(i, "a", "b")
	}
	want := []string{"led 1", "applied a", "discarded lost", "deposed 1", "discarded late"}
	if !slices.Equal(old.list.told, want) {
		t.Errorf("told %q, want %q", old.list.told, want)
	}
}

func TestOverwrittenEntriesStayOverwrittenAfterARestart(t *testing.T) {
	c := newCluster(t, 3)
	old := c.elect(0)
	old.cut = true
	old.propose("x", "y", "z")
	next := c.elect(1)
	next.propose("b")
	old.cut = false
	c.tick(3)
	c.restart(0)
	c.tick(30)
	c.elect(0).propose("c")
	c.tick(1)
	for i := range c.nodes {
		c.wantValues(i, "b", "c")
	}
}

func TestFollowerFarBehindGetsASnapshotAndGoesOn(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	c.nodes[2].cut = true
	var want []string
	for i := range 100 {
		v := fmt.Sprintf("value %d", i)
		want = append(want, v)
		leader.propose(v)
	}
	leader.list.checkpoint()
	c.settle()
	leader.disk.drop()
	c.nodes[2].cut = false
	c.tick(60)
	c.wantValues(2, want...)
	leader.propose("after")
	want = append(want, "after")
	c.tick(1)
	c.wantValues(2, want...)
	for i := range c.nodes {
		c.restart(i)
	}
	c.elect(2)
	c.tick(1)
	for i := range c.nodes {
		c.wantValues(i, want...)
	}
}

func TestNewLeaderSendsASnapshotBeforeItAdmits(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	c.nodes[2].cut = true
	for i := range 50 {
		leader.propose(fmt.Sprint(i))
	}
	leader.list.checkpoint()
	c.settle()
	leader.disk.drop()
	// Without the copy that has all, a majority needs the one that is far behind.
	c.restart(0)
	c.nodes[1].cut, c.nodes[2].cut = true, false
	c.tick(20)
	leader = c.elect(0)
	leader.propose("after")
	c.tick(60)
	c.wantValues(2, leader.list.Values...)
	if n := len(leader.list.Values); n != 51 {
		t.Errorf("the leader has %d values", n)
	}
}

func TestCrashWhileASnapshotIsStagedLeavesOneOrTheOther(t *testing.T) {
	for _, installed := range []bool{false, true} {
		c := newCluster(t, 3)
		leader := c.elect(0)
		behind := c.nodes[2]
		behind.cut = true
		for i := range 50 {
			leader.propose(fmt.Sprint(i))
		}
		leader.list.checkpoint()
		c.settle()
		behind.cut, behind.disk.until = false, KindStaged
		c.tick(5)
		if !behind.disk.stopped || behind.list.stable == nil {
			t.Fatal("no snapshot was installed")
		}
		if !installed {
			behind.list.stable = nil
		}
		c.restart(2)
		if got := c.nodes[2].g.log.applied; installed != (got > 10) {
			t.Errorf("applied %d after the crash, installed: %v", got, installed)
		}
		c.tick(60)
		c.wantValues(2, leader.list.Values...)
	}
}

func TestReleasedEntriesMayBeGone(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	for i := range 40 {
		leader.propose(fmt.Sprint("value ", i))
		if i%7 == 0 {
			for _, n := range c.nodes {
				n.list.checkpoint()
			}
			c.settle()
			for _, n := range c.nodes {
				n.disk.drop()
			}
		}
	}
	if n := len(leader.disk.durable); n > 20 {
		t.Errorf("%d records are held back", n)
	}
	for i := range c.nodes {
		c.restart(i)
	}
	c.elect(1)
	c.tick(1)
	for i := range c.nodes {
		c.wantValues(i, leader.list.Values...)
	}
}

func TestMarkOfAReleasedEntryKeepsWhatFollows(t *testing.T) {
	d := &disk{}
	s := State{Term: 2, Index: 6, IndexTerm: 2, Members: Members{Voters: []CopyID{NewCopyID(1, 1)}}}
	for i := uint64(7); i <= 9; i++ {
		d.durable = append(d.durable, Entry{Term: 2, Index: i, Kind: 1, Data: fmt.Append(nil, i)})
	}
	d.durable = append(d.durable, Entry{Term: 2, Index: 10, Kind: KindMark, Data: AppendState(nil, &s)})
	c := &cluster{t: t, members: s.Members}
	c.nodes = append(c.nodes, c.start(1, d, (&list{Index: 6}).state()))
	c.elect(0)
	c.wantValues(0, "7", "8", "9")
}

func TestMissingEntriesAreNotTakenForAShortLog(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	leader.propose("a", "b", "c", "d")
	d := c.nodes[1].disk.durable
	hole := slices.IndexFunc(d, func(e Entry) bool { return e.Kind == 1 })
	d = slices.Delete(slices.Clone(d), hole, hole+1)
	g, err := NewGroup(Options{ID: groupID, Copy: NewCopyID(2, 1), Members: c.members, Replica: &list{node: c.nodes[1]}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range d {
		if err := g.Replay(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Start(NewPool(0, c.nodes[1]), &disk{}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a log with a hole starts: %v", err)
	}
}

func TestMembersChangeByOrder(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	leader.propose("a", "b")
	fourth := NewCopyID(4, 1)
	c.nodes = append(c.nodes, c.start(4, &disk{}, nil))
	for _, step := range []Step{AddLearner, Promote} {
		leader.g.Change(Change{step, fourth})
		c.tick(5)
	}
	leader.g.Change(Change{Remove, NewCopyID(2, 1)})
	c.tick(5)
	want := Members{Voters: []CopyID{NewCopyID(1, 1), NewCopyID(3, 1), fourth}}
	for _, i := range []int{0, 2, 3} {
		if got := c.nodes[i].list.members; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("node %d has members %x, want %x", i+1, got, want)
		}
	}
	c.wantValues(3, "a", "b")
	leader.list.checkpoint()
	c.settle()
	leader.disk.drop()
	for _, i := range []int{0, 2, 3} {
		c.restart(i)
		c.tick(30)
		if got := c.nodes[i].list.members; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("node %d has members %x after a restart, want %x", i+1, got, want)
		}
	}
	// Without the removed node and another one there is still a majority.
	c.nodes[1].cut, c.nodes[2].cut = true, true
	c.elect(3).propose("c")
	c.wantValues(3, "a", "b", "c")
}

func TestMembersAreToldWhenTheChangeIsDurable(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	follower := c.nodes[1]
	// The entry gets durable, and nothing after it.
	follower.disk.until = KindMembers
	leader.g.Change(Change{Remove, NewCopyID(3, 1)})
	c.tick(3)
	if got := len(follower.g.log.members.Voters); got != 2 {
		t.Fatalf("the follower has %d voters in force", got)
	}
	if got := len(follower.list.members.Voters); got != 3 {
		t.Errorf("the follower tells of %d voters that a crash would undo", got)
	}
	follower.disk.until, follower.disk.stopped = 0, false
	c.settle()
	if got := len(follower.list.members.Voters); got != 2 {
		t.Errorf("the follower tells of %d voters", got)
	}
	leader.cut, c.nodes[2].cut = true, true
	c.restart(1)
	c.settle()
	if got := len(c.nodes[1].list.members.Voters); got != 2 {
		t.Errorf("the follower has %d voters after a restart", got)
	}
}

func TestSoloBecomesAGroupOfThree(t *testing.T) {
	d := &disk{}
	for i := range uint64(5) {
		d.durable = append(d.durable, Entry{Term: soloTerm, Index: i + 1, Kind: 1, Data: fmt.Append(nil, i)})
	}
	c := &cluster{t: t, members: Members{Voters: []CopyID{NewCopyID(1, 1)}}}
	stable := (&list{Values: []string{"0", "1"}, Index: 2}).state()
	c.nodes = append(c.nodes, c.start(1, d, stable))
	leader := c.elect(0)
	for id := uint32(2); id <= 3; id++ {
		c.nodes = append(c.nodes, c.start(id, &disk{}, nil))
		leader.g.Change(Change{AddLearner, NewCopyID(id, 1)})
		c.tick(60)
		leader.g.Change(Change{Promote, NewCopyID(id, 1)})
		c.tick(5)
	}
	leader.propose("last")
	c.tick(1)
	for i := range c.nodes {
		c.wantValues(i, "0", "1", "2", "3", "4", "last")
	}
}

func TestCopyThatForgotTakesNoPart(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	leader.propose("a", "b", "c")
	c.tick(2)
	behind := c.nodes[1]
	c.nodes[1] = c.start(behind.id, &disk{durable: behind.disk.durable[:3]}, nil)
	c.tick(2)
	if err := c.nodes[1].list.err; !errors.Is(err, ErrForgot) {
		t.Errorf("told %v", err)
	}
	leader.propose("d")
	c.tick(1)
	c.wantValues(2, "a", "b", "c", "d")
}

func TestRefusedEntryClosesTheWindow(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	c.nodes[2].cut = true
	window := leader.list.window
	// While leadership is about to go to a node that cannot be reached, raft takes
	// nothing.
	leader.g.Propose(window, 1, "a", []byte("a"))
	leader.pool.RunAll()
	leader.g.Transfer(NewCopyID(3, 1))
	leader.pool.RunAll()
	leader.g.Propose(window, 1, "b", []byte("b"))
	leader.pool.RunAll()
	if leader.g.Term() != 0 {
		t.Error("a leader admits behind a refused entry")
	}
	leader.g.Propose(window, 1, "c", []byte("c"))
	c.settle()
	c.tick(15)
	leader.g.Propose(window, 1, "d", []byte("d"))
	leader.propose("e")
	c.wantValues(0, "a", "e")
	want := []string{"led 1", "discarded b", "discarded c", "applied a", "deposed 1", "led 1", "discarded d", "applied e"}
	if !slices.Equal(leader.list.told, want) {
		t.Errorf("told %q, want %q", leader.list.told, want)
	}
}

func TestLeadershipIsGivenOn(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	leader.g.Transfer(NewCopyID(3, 1))
	c.settle()
	if leader.g.Term() != 0 || c.nodes[2].g.Term() == 0 || leader.g.Leader() != NewCopyID(3, 1) {
		t.Errorf("terms %d and %d, leader %x", leader.g.Term(), c.nodes[2].g.Term(), leader.g.Leader())
	}
}

func TestFailedStorageEndsTheGroup(t *testing.T) {
	c := newCluster(t, 3)
	leader := c.elect(0)
	leader.held = true
	leader.propose("a")
	broken := errors.New("broken")
	leader.g.Failed(broken)
	c.settle()
	leader.propose("b")
	want := []string{"led 1", "discarded a", "deposed 1", "discarded b"}
	if !slices.Equal(leader.list.told, want) || leader.list.err != broken || leader.g.Term() != 0 {
		t.Errorf("told %q and %v", leader.list.told, leader.list.err)
	}
	c.seen = func(m Message) {
		if m.From == NewCopyID(1, 1) {
			t.Errorf("a group on a dead storage sends %v", m.Raft.GetType())
		}
	}
	c.tick(30)
}

func TestRemovedGroupIsTold(t *testing.T) {
	c := newCluster(t, 1)
	n := c.elect(0)
	n.pool.Remove(groupID)
	c.tick(30)
	if n.list.err != ErrRemoved {
		t.Errorf("told %v", n.list.err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{ID: 1, Copy: NewCopyID(1, 1), Members: Members{Voters: []CopyID{NewCopyID(1, 1)}}, Replica: &list{}}
	for name, change := range map[string]func(*Options){
		"no id":         func(o *Options) { o.ID = 0 },
		"no copy":       func(o *Options) { o.Copy = 0 },
		"no replica":    func(o *Options) { o.Replica = nil },
		"no voters":     func(o *Options) { o.Members = Members{} },
		"named twice":   func(o *Options) { o.Members.Learners = o.Members.Voters },
		"not at a tick": func(o *Options) { o.ElectionTicks = -1 },
	} {
		o := good
		change(&o)
		g, err := NewGroup(o)
		if err == nil {
			err = g.Start(NewPool(0, nil), &disk{})
		}
		if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), ":") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
