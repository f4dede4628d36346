// Package liftbridge is the door for clients of Liftbridge: its gRPC interface, one
// file a call, and the envelopes that NATS clients publish to its streams.
//
// A Liftbridge stream is a family of streams with one partition each, which capture
// their subjects beside whoever else does (shared capture). Offset n is sequence
// n+1. Dialect says what is stored of a message: the value is the data; key and
// headers are a header block that NATS clients read, the key a field of the record
// besides. So every other door reads and writes the same log.
//
// Consumer groups and cursors are for NATS clients, too: ServeGroups answers their
// requests under $WEIR.API.GROUP and $WEIR.API.CURSOR (groupapi.go, cursorapi.go) from
// the same state, also where gRPC is not served. What these make for the first time then
// are the streams that groups and cursors are kept in.
//
// What a stream was created with stands in the metadata of its JetStream
// configuration, where JetStream's users see and change it (settings.go).
//
// Who makes a call, and with which certificate, is found out for each (caller.go). What
// it may do is asked of its user's permissions and of a policy (access.go). UpdateRules
// has calls that go on judged again (rules.go).
//
// # Promises
//
// An ack, whatever its policy, says that the message is on stable storage. A publish
// goes to the partition that it names, and to everybody else who listens on that
// partition's subject. weir.Stream of api/weir.fbs is the same in batches: what carries
// a call's messages differs (singly.go, batchpublish.go, batchsubscribe.go), and nothing
// below. What goes to a client at one time goes in one write. A subscriber
// reads the log on the goroutine of its call, at the pace of its client, and holds up
// nobody.
//
// # Goroutines
//
// Calls are served by package rpc below, on goroutines of its own. A call that publishes
// without waiting is published on the one that reads its connection, and answered by those
// that settle its tickets (publishasync.go): its handler only waits for what ends it. Run is
// the host of the consumer groups; Serve joins the loop that pauses idle partitions.
//
// # Locks
//
// A turn of naming and Door.changing are held while the log is waited for: they put
// in a row what is done to streams of one name, and to gates. activity.mu is taken
// with them held. The others guard small maps, and nothing is called with them held.
package liftbridge
