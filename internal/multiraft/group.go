package multiraft

import (
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Errors of a Group.
var (
	// ErrOptions wraps what is wrong with Options.
	ErrOptions = errors.New("invalid options of a group")
)

// Options of a Group. All but those with a default are needed.
type Options struct {
	ID        uint64   // of the group, the same on all nodes
	Node      uint64   // of this copy; never used again for another
	Voters    []uint64 // all copies, this one among them
	Replica   Replica
	Transport Transport
	// ElectionTicks without a leader begin an election. 0: 10.
	ElectionTicks int
	// HeartbeatTicks lie between two heartbeats. 0: 1.
	HeartbeatTicks int
	// KeepBytes of applied entries stay in memory for followers. 0: 8 MiB.
	KeepBytes int
	// MaxUncommitted bounds the bytes of entries that are proposed and not
	// committed; more are discarded. 0: 64 MiB.
	MaxUncommitted int
	// Log: nil discards.
	Log *slog.Logger
}

const (
	defaultElection    = 10
	defaultKeep        = 8 << 20
	defaultUncommitted = 64 << 20
	maxMessageBytes    = 1 << 20
	maxInflightBytes   = 16 << 20
)

// Group is one copy of a group with several voters. Its methods may be called
// from anywhere unless they say otherwise: they put work into its inbox, which
// a worker of the pool takes.
type Group struct {
	// Set at construction or by Start.
	o       Options
	replica Replica
	logger  *slog.Logger
	pool    *Pool

	// Atomic: what others may ask.
	admits atomic.Uint64 // Term
	lead   atomic.Uint64 // Leader

	mu sync.Mutex
	// Guarded by mu.
	inbox     inbox
	scheduled bool // in the pool's list, or being run

	// Only the worker that runs the group.
	rn       *raft.RawNode
	log      *log
	pipe     pipeline
	spare    inbox
	term     uint64  // in which this node leads, or 0
	ready    bool    // Led was called for term
	flight   []Entry // proposals that raft has, oldest first
	fresh    int     // the last ones of flight, which have no index yet
	position []byte  // for which a snapshot was asked
	stuck    map[uint64]int
	elapsed  int  // ticks since followers that wait for a snapshot were looked at
	settle   bool // entries were applied
	dead     bool
}

// inbox is what waits for the group's worker.
type inbox struct {
	ticks     int
	messages  []Message
	proposals []proposal
	durable   []uint64
	release   uint64
	installed []installed
	failed    error
	campaign  bool
}

type proposal struct {
	entry Entry
	data  []byte
}

type installed struct {
	snap *raftpb.Snapshot
	err  error
}

// NewGroup returns a group that has read nothing yet. Replay gives it the
// entries of its storage, Start begins.
func NewGroup(o Options) (*Group, error) {
	if o.ID == 0 || o.Node == 0 || o.Replica == nil || o.Transport == nil {
		return nil, fmt.Errorf("%w: id, node, replica and transport are needed", ErrOptions)
	}
	here := 0
	for _, v := range o.Voters {
		if v == o.Node {
			here++
		}
	}
	if here != 1 {
		return nil, fmt.Errorf("%w: node %d is %d times among the voters", ErrOptions, o.Node, here)
	}
	o.ElectionTicks = or(o.ElectionTicks, defaultElection)
	o.HeartbeatTicks = or(o.HeartbeatTicks, 1)
	o.KeepBytes = or(o.KeepBytes, defaultKeep)
	o.MaxUncommitted = or(o.MaxUncommitted, defaultUncommitted)
	g := &Group{o: o, replica: o.Replica, logger: o.Log, stuck: map[uint64]int{}}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	g.log = &log{voters: o.Voters, keep: o.KeepBytes}
	return g, nil
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Replay takes in an entry found in the storage, before Start. Data is borrowed.
// Nothing is applied: what is committed will be told.
func (g *Group) Replay(e Entry) error { return g.log.replay(e) }

// Start begins to take part, on a pool. The storage is told first of what comes
// next; what it has was given to Replay.
func (g *Group) Start(p *Pool, s Storage) error {
	if err := g.log.recovered(g.replica.Applied()); err != nil {
		return fmt.Errorf("start group %d: %w", g.o.ID, err)
	}
	rn, err := raft.NewRawNode(&raft.Config{
		ID: g.o.Node, ElectionTick: g.o.ElectionTicks, HeartbeatTick: g.o.HeartbeatTicks,
		Storage: g.log, Applied: g.log.applied, AsyncStorageWrites: true,
		MaxSizePerMsg: maxMessageBytes, MaxCommittedSizePerReady: maxInflightBytes,
		MaxUncommittedEntriesSize: uint64(g.o.MaxUncommitted),
		MaxInflightMsgs:           256, MaxInflightBytes: maxInflightBytes,
		CheckQuorum: true, PreVote: true, StepDownOnRemoval: true,
		// A proposal carries the term of its admission: it may not be given to
		// another leader.
		DisableProposalForwarding: true,
		Logger:                    &raft.DefaultLogger{Logger: stdlog.New(io.Discard, "", 0)},
	})
	if err != nil {
		return fmt.Errorf("start group %d: %w: %w", g.o.ID, ErrOptions, err)
	}
	g.rn, g.pipe.storage, g.pipe.state = rn, s, &g.log.state
	return p.add(g)
}

// ID is the group's number.
func (g *Group) ID() uint64 { return g.o.ID }

// Term is the one in which this node may admit and propose; 0: it does not lead,
// or does not yet know all that was committed before it led.
func (g *Group) Term() uint64 { return g.admits.Load() }

// Leader is the node that leads as far as this one knows, or 0.
func (g *Group) Leader() uint64 { return g.lead.Load() }

// Propose hands an entry over that was admitted in term. Calls come one at a
// time. The machine gets it back, once: by Apply with the value, when it is
// committed, or by Discard, which says that its fate is not known here. The parts
// are copied. kind is below FirstOwnKind.
func (g *Group) Propose(term uint64, kind uint8, value any, parts ...[]byte) {
	if kind >= FirstOwnKind {
		panic(fmt.Sprintf("multiraft: kind %d is the group's own", kind))
	}
	p := proposal{entry: Entry{Term: term, Kind: kind, Value: value}, data: payload(kind, parts)}
	p.entry.Data = p.data[1:]
	g.put(func(in *inbox) { in.proposals = append(in.proposals, p) })
}

// Receive takes a message that a transport brought.
func (g *Group) Receive(m Message) {
	g.put(func(in *inbox) { in.messages = append(in.messages, m) })
}

// Tick moves the group's clock on by one.
func (g *Group) Tick() { g.put(func(in *inbox) { in.ticks++ }) }

// Campaign begins an election without waiting for the clock.
func (g *Group) Campaign() { g.put(func(in *inbox) { in.campaign = true }) }

// Release says that what the machine has applied up to an index survives a crash
// without the storage. The storage is told when a mark that says so is durable.
func (g *Group) Release(index uint64) {
	g.put(func(in *inbox) { in.release = max(in.release, index) })
}

// Durable is the storage's call: all that was appended up to this index is on
// stable storage.
func (g *Group) Durable(upto uint64) {
	g.put(func(in *inbox) { in.durable = append(in.durable, upto) })
}

// Failed is the storage's call: nothing more becomes durable. The group says
// nothing any more, to nobody.
func (g *Group) Failed(err error) { g.put(func(in *inbox) { in.failed = err }) }

// put changes the inbox and sees to it that somebody looks into it.
func (g *Group) put(change func(*inbox)) {
	g.mu.Lock()
	change(&g.inbox)
	wake := !g.scheduled && g.pool != nil
	g.scheduled = g.scheduled || wake
	g.mu.Unlock()
	if wake {
		g.pool.schedule(g)
	}
}

// empty says whether nothing waits.
func (in *inbox) empty() bool {
	return in.ticks == 0 && len(in.messages) == 0 && len(in.proposals) == 0 && len(in.durable) == 0 &&
		in.release == 0 && len(in.installed) == 0 && in.failed == nil && !in.campaign
}

// clear keeps the lists' memory.
func (in *inbox) clear() {
	clear(in.messages)
	clear(in.proposals)
	clear(in.installed)
	*in = inbox{
		messages: in.messages[:0], proposals: in.proposals[:0],
		durable: in.durable[:0], installed: in.installed[:0],
	}
}

// take empties the inbox for the worker.
func (g *Group) take() *inbox {
	g.mu.Lock()
	g.inbox, g.spare = g.spare, g.inbox
	g.mu.Unlock()
	return &g.spare
}

// rest says whether the group is to be run again; if not it is not scheduled
// any more.
func (g *Group) rest() (again bool) {
	g.spare.clear()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scheduled = !g.inbox.empty()
	return g.scheduled
}
