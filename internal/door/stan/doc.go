// Package stan is the door for clients of NATS Streaming. They are clients of NATS:
// the door listens on the protocol's subjects in one account's subject space, stores
// what they publish in a channel's stream, and delivers through consumers.
//
// # What is where
//
//   - A channel is a stream, made at its first use. Its subjects are none, unless
//     the configuration says that it captures; the door stores by identity.
//   - A subscription, and a queue group, is a consumer of that stream, whose
//     configuration holds its members: clients, inboxes, limits. Its position and
//     what is not acknowledged are the log's, as for every consumer.
//   - Clients are records of a stream of their own, one a client. A restart reads
//     them and the consumers; clients need not connect again.
//
// Clients may be in a NATS system that others run: Options.Network stands for it, and
// package remote connects to one. What streams and consumers send goes through the
// account's space all the same, under a prefix that leads there.
//
// Durables of another server come in as a request of Weir's own (adopt.go), which an
// import makes behind a channel's stream: each begins where it stood there.
//
// # Order
//
// All subjects lead to one sink, so that what one connection sends is taken in
// order: a request to close a subscription comes behind the acknowledgements
// before it. Publishes and acknowledgements are staged on the publisher's goroutine
// and never wait. Requests of one client run one after the other on one of a few
// lanes; requests for one subscription or queue group take turns. An answer to a
// subscriber leaves before its first message.
//
// # Goroutines
//
// Lanes, openers of channels and one clock, which Run starts and joins; removing
// many subscriptions at once uses a few more and waits for them.
//
// # Locks
//
// Door.mu guards the maps of clients, channels and inboxes, channel.mu what waits for
// a channel to be made, lane.mu and clock.mu their queues. None is held while another
// one is taken or another room is called. channel.turn is a token, not a lock: who
// holds it may wait for the log.
//
// Assembly makes the door; monitor reads it.
package stan
