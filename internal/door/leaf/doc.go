// Package leaf makes this server a leaf node of NATS systems that others run: it
// connects to their listeners for leaf nodes and speaks their protocol.
//
// A Remote is one such system, bound to one account here; a link is one connection to
// it. What is subscribed here is announced there (announce.go), and what is announced
// from there is subscribed here, with the link as the sink (wanted.go, stage.go). What
// comes over a link is published here (read.go), as is what a client publishes.
//
// # Promises
//
// Messages of one publisher leave in the order of publishing, and behind the
// announcement of what was subscribed before. A message goes over a link once, with the
// queue groups there that are to have it; of a queue group that has members here, too,
// the members here get it. What came over one link goes over none: this server joins no
// two systems. JetStream's requests ($JS.API.>), key-value and object buckets and,
// outside of the system account, $SYS.> stay on their side; those that name this
// server's domain ($JS.<domain>.API.>) come through. Acknowledgements of deliveries that
// cross name the domain of the side that delivered (acks.go).
//
// Nobody waits for a link: above Options.MaxPending, and over what the other side takes,
// messages are dropped, counted and logged, and so are those that come while a stream has
// no room. A stream acknowledges what came over a link only if it says so.
//
// A connection that is lost is made again, at once and then less and less often, at the
// servers that were named and those that the system told of, for as long as Run runs.
// What its side had announced is withdrawn meanwhile.
//
// # Goroutines
//
// Door.Run has one for each remote, and each connection one that reads, one that keeps
// it up and the outbox's writer. All are joined by Run.
//
// # Locks
//
// Remote.mu guards which connection there is. announcer.mu guards what was announced, and
// is held while lines are given to the outbox, which takes its own lock and does no I/O
// then. Nothing else is called with either held.
//
// Assembly makes the door; monitoring reads it.
package leaf
