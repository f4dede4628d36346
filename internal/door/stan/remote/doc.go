// Package remote is a connection to a NATS system that others run, for a door whose
// clients are there. To the door it is what an account's space is: Subscribe,
// Unsubscribe, Publish, and a broker.Sink for what streams and consumers send.
//
// # Promises
//
// What the system sends is published, in its order, to what is subscribed here, on one
// goroutine. While a stream has no room that goroutine waits, up to a second for a
// message, which is then dropped: the system sees a slow client. What is sent goes out
// in the order in which it was given. Nobody who sends waits: without a connection, or
// with more than maxOut bytes that wait, messages are dropped and counted, as they were by
// the old server; publishers and consumers of the door ask or deliver again.
//
// A connection that is lost is made again, at the servers that were named and those
// that the system told of, for as long as Run runs, with all that is subscribed.
//
// # Goroutines
//
// Run has one that reads, one that writes and one that closes the connection, and
// joins them. New starts none.
//
// # Locks
//
// Client.mu guards the state of the connection and what waits to be sent. Nothing is
// called with it held.
//
// Assembly makes the client, door/stan uses it.
package remote
