// Package broker is a message's way from its publisher to its sinks.
//
// A Space is one account's subjects: a routing table of subscriptions. A
// Publisher belongs to one goroutine; it looks subjects up in a cache that is
// valid for one generation of the table, stages each message with every
// destination and hands all of it over at once. A Sink is a destination; its
// Stage takes what one publisher sends to it. The broker owns neither bytes nor
// format: each sink stages in its own. Publishers that one goroutine serves in turn
// may share a Round: a sink that gathers keeps there what they stage, and is handed it
// once for all, before anything that does not gather. Services are sinks whose requests are
// copied and handled by a fixed pool of goroutines.
//
// A link to another server is a sink, too. Its subscriptions are Far: of a queue group it
// gets what no member here takes. What comes over it names the groups that it is for
// (Message.Groups). A Follower is told of all that is subscribed, to say so there.
//
// Spaces may have of each other what assembly says. A stream import has the
// subscriptions of one stand in the table of the other, as shadows, so that routing
// is the same for all and costs nothing where nothing is imported. A service import
// is a sink that publishes requests on in the other space, with a reply subject of
// its own, and the answers to that back.
//
// Promises: messages of one publisher reach one destination in the order of
// publishing. What a goroutine subscribes before it publishes gets the message,
// what it unsubscribed before does not. Publish and HandOver never block on a
// destination; a message that a cached subject routes to destinations that were
// met before allocates nothing here.
//
// Goroutines: those of Workers, joined by Workers.Close. Locks: a worker pool's,
// the registry's, the watches', the followers' and each service import's, all leaves: nothing is
// called with them held. The one over a subscription's shadows is held while they
// are subscribed, which takes locks of other spaces only, as imports form no cycle. Streams,
// doors, links and telling rooms call it.
package broker
