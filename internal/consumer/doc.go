// Package consumer is the delivery state machine: a position in a stream, what
// was delivered and not acknowledged, when it is delivered again, and who gets
// it.
//
// # Core and policy
//
// The core keeps position, pending set, floor, redelivery queue and change
// records. It knows no protocol. A policy says who gets the next message and
// whether it may be sent now: pull.go serves JetStream's pull requests, between
// which priority.go chooses, push.go sends by itself, and spread.go sends by itself
// to one of several members.
//
// # Input and output
//
// Inputs are calls: Request, Ack, Removed, Purged, Update, Bound, FlowAnswered,
// Unpin, Reset. Step takes the time and does what has become possible: it ends
// requests, queues what was not acknowledged in time, delivers. Its Output says
// what to send and what to write down. Records come from a Source, which answers
// from memory or says Cold; the owner then loads and steps again.
//
// # State
//
// Every change of state is put into change records: numbered, absolute facts. A
// Replica that applies them equals the live consumer; a record that was applied
// already is ignored. A record is complete when Step or TakeChanges gives it.
//
// # Invariants
//
// The floor never moves back but by Reset, and nothing at or below it is pending.
// What is pending was delivered, is stored and is not acknowledged. Pending
// entries ascend in stream sequence and in the consumer sequence of their first
// delivery alike.
//
// # Concurrency
//
// There is no goroutine, lock or clock here. A Consumer belongs to the shard of
// its stream, a Replica to the group that applies. Deciding when Step runs is the
// caller's part: after each input, when records were committed, when Deadline
// has passed, and at once when Output.More says so. Only stream and the doors'
// outlets use the package.
package consumer
