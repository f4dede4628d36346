// Package group lets consumers share the partitions of streams: the coordinator of
// consumer groups. It speaks no protocol and reads no messages; where members
// read, and how far, is theirs to know.
//
// A Coordinator is the state of all groups, a pure machine: requests and the time
// go in, answers and the states to keep come out. A group has an epoch, which
// rises with every change of who reads what. What a partition's members are told
// at one epoch is always that one of them reads it.
//
// A Host runs a Coordinator: its one goroutine, Run, takes requests in turn, keeps
// each change in a Store before it answers, and ends the membership of those that
// were silent for too long. After a restart every member has its full time again.
//
// Its methods may be called by any goroutine; those that change something wait for
// the Store. There is one lock, for the queue of requests; nothing is called with
// it held. Doors call it; assembly gives it Store and Partitions.
package group
