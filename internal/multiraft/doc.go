// Package multiraft owns groups and the order of their entries: every change of
// state is proposed, numbered (term, index), made durable and only then applied,
// also where there is one replica, so that more replicas are a change of
// configuration and not of code. It never looks into an entry.
//
// There are two kinds of group. Solo is a single voter, whose log is the node's
// journal and whose entries are committed when they are durable; raft is not in
// its way. Group has several voters, on nodes that a Transport joins, and is
// go.etcd.io/raft over the same kind of Storage. The log of a Solo is one that a
// Group can go on with.
//
// # Promises of a Group
//
// A vote, a term and an entry are durable before anybody hears of them. Entries
// are applied once and in order, and only those that are committed and durable
// here. A proposal comes back once: applied with its value, or discarded, which
// means that its fate is not known here: it is never told to have failed or
// succeeded when that is not so. Proposals are not forwarded. A leader admits
// only after it has applied an entry of its own term, and in a Window: once raft
// has refused an entry, those admitted after it are discarded, too, until the
// machine begins anew from what is applied. A copy whose storage lacks
// what it had acknowledged takes no part: Start refuses a log with a hole, and a
// shorter one is found out by the leader's heartbeat (ErrForgot).
//
// # The log
//
// The log of a Group is what its Storage has not released. Entries that are
// applied live in the machine, which says by Release up to where they survive
// without the storage; some stay in memory for followers. What a Group keeps
// beside its entries (State: term, vote, mark, members) is a record of the same
// storage with a kind of its own. Its index is above all that may be released
// before the next such record is durable, so that the storage never frees the
// last one. Storage frees from the beginning only.
//
// # What a network has to do
//
// Copies are named by CopyID, which has the node in it. A Transport takes the
// messages of many groups for one node at once, and gives them to Pool.Receive
// there; it may lose, double, delay and reorder them. A snapshot is a message
// with a stream behind it, for Pool.ReceiveStream. A follower says first what it
// has (Replica.Position), so that a stream that broke off is resumed where the
// machine's position says, and holds only what is lacking. Its content is the
// machines' own affair; a machine must find out by itself whether it is whole.
//
// Members change one copy and one step at a time (Change): a new one as a learner
// first, then promoted, then an old one removed. What is in force is told by
// Replica.Changed. A copy that lost its storage never comes back under its name.
//
// # Goroutines and locks
//
// Solo starts no goroutine: entries are applied on the one that tells of their
// durability, the journal's. A Pool has a fixed number of workers, which NewPool
// starts and Close joins; they run the groups that have something to do, each by
// one worker at a time. Clocks are moved by Pool.Tick only. Where a pool has no
// workers, its owner calls RunAll, and all happens in one order.
//
// Locks: Solo's over its list of entries in flight; a Group's over its inbox; the
// Pool's over its list of groups. Each is a leaf, and nothing is called with one
// held. Only stream and meta use groups; assembly makes the Pool and gives it the
// Transport, which is peer's.
package multiraft
