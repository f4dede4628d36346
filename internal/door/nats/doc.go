// Package nats is the door for clients that speak the NATS protocol.
//
// A Door accepts connections and knows which are open and which were closed. A
// Conn is one client: a reader that takes operations from its buffer and
// publishes them, and a broker.Sink over an outbox. A stage encodes what one
// publisher sends to one connection.
//
// Promises: operations of a connection take effect in the order in which they
// were sent, and what it is told comes in that order. Everything that is not a
// publish first hands over what was published before it. Nobody waits for a
// connection that does not read. An -ERR reaches the client before the end of
// the stream does. No message costs an allocation once its subject is known.
//
// A plain TCP connection is read by the poller: on a loop that serves many while
// it brings little, on a goroutine of its own while it brings much or waits. Any
// other connection, such as one with TLS or over WebSocket, has a reader's goroutine,
// on which the TLS handshake is made, too. "The reader" is whichever it is.
//
// Goroutines: one for each listener, one for each connection that is not polled,
// and what the connections' outboxes start; Shutdown joins them, and waits for the
// readers. The poller's goroutines are the poller's. Timers run short callbacks.
// Locks: Door.mu and Conn.mu are never held together, and the routing table is not
// called with one held. Assembly builds the door; telling rooms read its
// snapshots.
package nats
