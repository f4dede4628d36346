package multiraft

import (
	"io"

	"go.etcd.io/raft/v3/raftpb"
)

// Replica is a machine that has copies on other nodes. Its methods are called by
// one goroutine at a time, without locks held, and must not block; they may call
// the group. Apply gets each entry, also those of the group's own kinds (from
// FirstOwnKind on), without data: the machine notes their index and nothing else,
// for a state is that of one index. Discard ends the window: what was admitted
// rests on entries that may never be, so nothing is admitted, and nobody is
// answered from it, until Led.
type Replica interface {
	Machine
	// Applied is the index of the last entry given to Apply, or of the snapshot
	// installed since, whose effect survives a crash. It is asked once, at Start.
	Applied() uint64
	// Led says that this node leads, and has applied all that was committed before:
	// from now on it may admit, and propose in that window. What it admits then rests
	// on what is applied, and on nothing else.
	Led(w Window)
	// Deposed says that the window of a term is over, since leadership is or because
	// an entry was refused. Everything in flight has been discarded; some of it may
	// still come, as entries without a value.
	Deposed(term uint64)
	// Changed says which members are in force from an entry on, and that this copy
	// will not forget it. A copy that is no member any more may be taken away for
	// good when a majority of the new voters has said so.
	Changed(index uint64, m Members)
	// Position tells another copy what this one has, in words of the machine.
	Position() []byte
	// Snapshot gives what a copy at a position lacks of the present state, as an
	// immutable view: it is read on another goroutine, while entries go on to be
	// applied. Its reader must be able to tell whether it is complete.
	Snapshot(since []byte) (io.ReadCloser, error)
	// Stage reads a snapshot of the state at an index, made for the present
	// position, and keeps it apart, durably and not in force. It returns at once,
	// reads elsewhere, closes r, and calls done from any goroutine; what is not
	// whole is an error. It replaces what was staged before. Entries may be applied
	// meanwhile; the snapshot is not installed then.
	Stage(index uint64, r io.ReadCloser, done func(error))
	// Install puts what was staged for an index in force, all or nothing even if
	// there is a crash, and calls done, from any goroutine, once that is durable.
	// Nothing is applied meanwhile. An error ends the group on this node.
	Install(index uint64, done func(error))
}

// Message goes from one copy of a group to another. All of it may be lost,
// doubled, delayed and reordered. It must not be changed.
type Message struct {
	Group    uint64
	From, To CopyID
	// Raft is nil in a request for a snapshot, which has Position instead.
	Raft     *raftpb.Message
	Position []byte
	// Since is the position for which the stream behind this message was made.
	Since []byte
}

// Transport takes messages to other nodes: those of raft on a lane of their own,
// snapshots on one for bulk. Its methods must not block. What cannot be sent is
// dropped; nobody is told, for raft sends again.
type Transport interface {
	// Send takes messages of many groups to one node, in order. The list is the
	// caller's again when Send returns; what is in it stays unchanged for ever.
	Send(node uint32, batch []Message)
	// Stream takes a message and the bytes of a snapshot behind it to one node,
	// where Pool.ReceiveStream gets both. It reads body on a goroutine of its own
	// and closes it in the end, in any case. A body that ends early must end with
	// an error at the receiver.
	Stream(node uint32, m Message, body io.ReadCloser)
}
