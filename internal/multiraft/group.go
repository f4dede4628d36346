package multiraft

import (
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3"
)

// Errors of a Group.
var (
	// ErrOptions wraps what is wrong with Options.
	ErrOptions = errors.New("invalid options of a group")
	// ErrForgot says that a copy's storage went back behind what it had promised.
	// It is of no use any more: a new copy, with a life of its own, takes its place.
	ErrForgot = errors.New("copy lost what it had acknowledged")
)

// Options of a Group. All but those with a default are needed.
type Options struct {
	ID   uint64 // of the group, the same on all nodes, with its incarnation in it
	Copy CopyID // this one; never used again for another
	// Members at the group's birth, the same for all copies, those that join later
	// too. What changed them since is in the group's order.
	Members Members
	Replica Replica
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
	leader atomic.Uint64 // Leader

	mu sync.Mutex
	// Guarded by mu.
	inbox     inbox
	some      bool // is in the inbox
	scheduled bool // in the pool's list, or being run

	// Only the worker that runs the group.
	out     *worker
	rn      *raft.RawNode
	log     *log
	pipe    pipeline
	spare   inbox
	term    uint64  // in which this node leads, or 0
	ready   bool    // Led was called for term
	window  Window  // the newest; what was admitted in others is discarded
	refused bool    // raft refused a proposal of the last window
	flight  []Entry // proposals that raft has, oldest first
	fresh   int     // the last ones of flight, which have no index yet
	catchup catchup
	settle  bool // entries were applied
	dead    bool
}

// NewGroup returns a group that has read nothing yet. Replay gives it the
// entries of its storage, Start begins.
func NewGroup(o Options) (*Group, error) {
	if o.ID == 0 || NodeOf(o.Copy) == 0 || o.Replica == nil || len(o.Members.Voters) == 0 {
		return nil, fmt.Errorf("%w: id, copy, replica and members are needed", ErrOptions)
	}
	all := slices.Sorted(slices.Values(slices.Concat(o.Members.Voters, o.Members.Learners)))
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		return nil, fmt.Errorf("%w: a copy is named twice in %v", ErrOptions, o.Members)
	}
	o.ElectionTicks = or(o.ElectionTicks, defaultElection)
	o.HeartbeatTicks = or(o.HeartbeatTicks, 1)
	o.KeepBytes = or(o.KeepBytes, defaultKeep)
	o.MaxUncommitted = or(o.MaxUncommitted, defaultUncommitted)
	if o.HeartbeatTicks < 1 || o.ElectionTicks <= o.HeartbeatTicks || o.KeepBytes < 0 || o.MaxUncommitted < 0 {
		return nil, fmt.Errorf("%w: ticks %d and %d, bytes %d and %d", ErrOptions, o.ElectionTicks, o.HeartbeatTicks, o.KeepBytes, o.MaxUncommitted)
	}
	g := &Group{o: o, replica: o.Replica, logger: o.Log}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	g.logger = g.logger.With("group", o.ID, "copy", o.Copy)
	g.catchup.init()
	g.log = &log{keep: o.KeepBytes, state: State{Members: o.Members.Clone()}}
	return g, nil
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Replay takes in an entry found in the storage, before Start, in the order in
// which the storage got them. Data is borrowed. Nothing is applied: what is
// committed will be told.
func (g *Group) Replay(e Entry) error { return g.log.replay(e) }

// Start begins to take part, on a pool. The storage is told first of what comes
// next; what it has was given to Replay. It fails where what was replayed and
// what the machine has do not join: something is missing, and the copy must not
// take part.
func (g *Group) Start(p *Pool, s Storage) error {
	if err := g.log.recovered(g.replica.Applied()); err != nil {
		return fmt.Errorf("start group %d: %w", g.o.ID, err)
	}
	rn, err := raft.NewRawNode(&raft.Config{
		ID: g.o.Copy, ElectionTick: g.o.ElectionTicks, HeartbeatTick: g.o.HeartbeatTicks,
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
	g.rn, g.pipe.storage, g.pipe.log = rn, s, g.log
	g.replica.Changed(g.log.applied, g.log.members.Clone())
	return p.add(g)
}

// ID is the group's number.
func (g *Group) ID() uint64 { return g.o.ID }

// Term is the one in which this node may admit and propose; 0: it does not lead,
// or does not yet know all that was committed before it led.
func (g *Group) Term() uint64 { return g.admits.Load() }

// Leader is the copy that leads as far as this one knows, or 0.
func (g *Group) Leader() CopyID { return g.leader.Load() }

// Window is a time in which a leader admits: each entry rests on those before it
// in the same window. It ends with leadership, and when raft refuses an entry.
type Window struct {
	Term    uint64 // of its entries
	Opening uint64 // unlike that of all other windows here
}

// Propose hands an entry over that was admitted in a window, which Led gave. Calls
// come one at a time. The machine gets it back, once: by Apply with the value, when
// it is committed, or by Discard, which says that its fate is not known here. The
// parts are copied. kind is below FirstOwnKind.
func (g *Group) Propose(w Window, kind uint8, value any, parts ...[]byte) {
	if kind >= FirstOwnKind {
		panic(fmt.Sprintf("multiraft: kind %d is the group's own", kind))
	}
	p := proposal{window: w, entry: Entry{Term: w.Term, Kind: kind, Value: value}, data: payload(kind, parts)}
	p.entry.Data = p.data[1:]
	g.put(func(in *inbox) { in.proposals = append(in.proposals, p) })
}

// Change asks for one step of one copy. Where this node does not lead, or another
// change is on its way, nothing happens: Replica.Changed tells what is in force,
// and who asked asks again.
func (g *Group) Change(c Change) {
	g.put(func(in *inbox) { in.changes = append(in.changes, c) })
}

// Transfer gives leadership to another voter, if this node leads and the other
// one catches up within an election's time. Proposals are discarded meanwhile.
func (g *Group) Transfer(to CopyID) { g.put(func(in *inbox) { in.transfer = to }) }

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
