// Package listen binds addresses and gives connections. It owns the socket and
// its options, reads certificates, and makes WebSockets streams of bytes. It reads no
// protocol above that: who calls Accept or Run serves what comes.
//
// Run serves each connection on a goroutine of its own, and Close, from any
// goroutine, joins them through Run. A WebSocket listener has the goroutines of its
// HTTP server, joined by Close, and each of its connections has one that reads,
// joined by the connection's Close. A Listener has one lock, over its state,
// which is never held while a connection is served. Assembly and doors may use it.
package listen
