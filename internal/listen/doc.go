// Package listen binds addresses and gives connections. It owns the socket and
// its options and reads no protocol: who calls Accept or Run serves what comes.
//
// Run serves each connection on a goroutine of its own, and Close, from any
// goroutine, joins them through Run. A Listener has one lock, over its state,
// which is never held while a connection is served. Assembly and doors may use it.
package listen
