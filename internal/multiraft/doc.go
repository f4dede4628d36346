// Package multiraft owns groups and the order of their entries: every change of
// state is proposed, numbered (term, index), made durable and only then applied,
// also where there is one replica, so that more replicas are a change of
// configuration and not of code. It never looks into an entry.
//
// There are two kinds of group. Solo is a single voter, whose log is the node's
// journal and whose entries are committed when they are durable. Group has
// several voters, on nodes that a Transport joins, and is go.etcd.io/raft over
// the same kind of Storage. Its voters are fixed when it is made.
//
// Promises of a Group. A vote, a term and an entry are durable before anybody
// hears of them. Entries are applied once and in order, and only those that are
// committed and durable here. A proposal comes back once: applied with its value,
// or discarded, which means that its fate is not known here: it is never told to
// have failed or succeeded when that is not so. Proposals are not forwarded. A
// leader admits only after it has applied an entry of its own term. Entries that
// the machine released may be gone: a follower that needs them gets what its
// machine lacks, see Replica.Snapshot.
//
// What a Group keeps beside its entries (State) is a record of the same storage
// with a kind of its own. Its index is above all that may be released before the
// next such record is durable, so that the storage never frees the last one.
//
// Goroutines. Solo starts none: entries are applied on the goroutine that tells
// of their durability, the journal's. A Pool has a fixed number of workers, which
// NewPool starts and Close joins; they run the groups that have something to do,
// each by one worker at a time. Clocks are moved by Pool.Tick only.
//
// Locks: Solo's over its list of entries in flight; a Group's over its inbox; the
// Pool's over its list of groups. Each is a leaf, and nothing is called with one
// held.
package multiraft
