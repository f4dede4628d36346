// Package multiraft owns groups and the order of their entries: every change of
// state is proposed, numbered (term, index), made durable and only then applied,
// also where there is one replica, so that more replicas are a change of
// configuration and not of code.
//
// Today there is one kind of group, Solo: a single voter, whose log is the
// node's journal and whose entries are committed when they are durable. The
// package never looks into an entry. It starts no goroutine: entries are applied
// on the goroutine that tells of their durability, the journal's. Each group has
// one lock, over its list of entries in flight; nothing is called with it held.
package multiraft
