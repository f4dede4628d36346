package multiraft

import "go.etcd.io/raft/v3/raftpb"

// Replica is a machine that has copies on other nodes. Its methods are called by
// one goroutine at a time, without locks held, and must not block; they may call
// the group.
type Replica interface {
	Machine
	// Applied is the index of the last entry whose effect survives a crash. It is
	// asked once, at Start.
	Applied() uint64
	// Led says that this node leads in term, and has applied all that was
	// committed before: from now on it may admit and propose with that term.
	Led(term uint64)
	// Deposed says that leadership in term is over. Everything in flight has been
	// discarded; some of it may still come, as entries without a value.
	Deposed(term uint64)
	// Position tells another copy what this one has, in words of the machine.
	Position() []byte
	// Snapshot gives what a copy at a position lacks of the present state. The
	// machine decides whether these are the bytes themselves or a list of files
	// that Install fetches.
	Snapshot(since []byte) ([]byte, error)
	// Install brings the machine to the state of an index, and calls done, from
	// any goroutine, once that is durable. Nothing is applied meanwhile. data was
	// made for the present position. An error ends the group on this node.
	Install(index uint64, data []byte, done func(error))
}

// Message goes from one copy of a group to another. All of it may be lost,
// doubled, delayed and reordered. It must not be changed.
type Message struct {
	Group, From, To uint64
	// Raft is nil in a request for a snapshot, which has Position instead.
	Raft     *raftpb.Message
	Position []byte
	// Since is the position for which the snapshot in Raft was made.
	Since []byte
}

// Transport takes messages to other nodes. Send must not block: what cannot be
// sent is dropped. The message's memory is kept unchanged.
type Transport interface {
	Send(Message)
}
