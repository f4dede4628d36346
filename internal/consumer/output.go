package consumer

// Output is what a Step wants done. It is reused: each Step begins with resetting
// everything but Limit. Deliveries and Statuses are in sending order by
// themselves; Status.After merges them.
type Output struct {
	// Limit bounds the deliveries of one Step, so that a consumer cannot hog its
	// shard. Set by the caller; not positive or over MaxStep: MaxStep.
	Limit int

	// Deliveries are the messages to send.
	Deliveries []Delivery
	// Statuses are the protocol's status messages to send.
	Statuses []Status
	// Changes is a change record to write down; empty if nothing changed. Whoever
	// waits for a confirmed acknowledgement waits for it to be durable.
	Changes []byte
	// Advisories are the events to tell, at most maxAdvisories a Step.
	Advisories []Advisory
	// Cold is a sequence that must be loaded before delivering can go on; 0 none.
	Cold uint64
	// More says that Limit was reached: Step again.
	More bool
	// Inactive says that the consumer was unused for its threshold.
	Inactive bool
}

// MaxStep bounds the deliveries of a Step, and thus of a change record.
const MaxStep = 16384

// maxAdvisories bounds what is kept between two Steps; more are dropped. Removing
// a stream's messages may end a million pending ones at once.
const maxAdvisories = 4096

func (o *Output) reset() {
	clear(o.Deliveries) // replies must not be kept alive
	clear(o.Statuses)
	clear(o.Advisories)
	o.Deliveries = o.Deliveries[:0]
	o.Statuses = o.Statuses[:0]
	o.Advisories = o.Advisories[:0]
	o.Changes = o.Changes[:0]
	o.Cold, o.More, o.Inactive = 0, false, false
}

func (o *Output) limit() int {
	if o.Limit <= 0 || o.Limit > MaxStep {
		return MaxStep
	}
	return o.Limit
}

// Delivery is one message on its way to one receiver.
type Delivery struct {
	// Reply is the inbox of the request that it answers, Pin the mark of the client
	// that is pinned.
	Reply, Pin string
	// Seq is the stream sequence, DSeq the consumer sequence of this delivery.
	Seq, DSeq uint64
	// Delivered counts the deliveries of this message, from 1.
	Delivered int
	// Member is who gets it, of a consumer with members.
	Member uint32
	// Pending is the number of matching messages after the consumer's position:
	// what was delivered is not in it, acknowledged or not.
	Pending uint64
}

// AdvisoryKind says what happened to a message.
type AdvisoryKind uint8

const (
	// AdvisoryMaxDeliver: it was delivered as often as allowed and is given up.
	AdvisoryMaxDeliver AdvisoryKind = iota
	// AdvisoryNak: the client refused it for now.
	AdvisoryNak
	// AdvisoryTerm: it will not be delivered again, by the client's word or because
	// it was deleted; Reason says.
	AdvisoryTerm
	// AdvisoryAcked: it was acknowledged, and is one of the sample; Took says after
	// how long.
	AdvisoryAcked
	// AdvisoryPinned and AdvisoryUnpinned: a client of the group is pinned, is it no
	// longer because of Reason. They are about no message.
	AdvisoryPinned
	AdvisoryUnpinned
	// AdvisoryResumed: a pause is over. It is about no message.
	AdvisoryResumed
)

// Reasons of an AdvisoryUnpinned.
const (
	ReasonPinTimeout = "timeout"
	ReasonPinAdmin   = "admin"
)

// Reasons of an AdvisoryTerm that no client asked for.
const (
	ReasonLimits  = "Message deleted by stream limits"
	ReasonDeleted = "Unacknowledged message was deleted"
)

// Advisory is an event that may be told.
type Advisory struct {
	Kind AdvisoryKind
	// Seq is the stream sequence; DSeq the consumer sequence that the client named,
	// or that of the first delivery.
	Seq, DSeq uint64
	Delivered int
	// Reason is the client's or one of the above.
	Reason string
	// Took is measured from when the last wait began, in nanoseconds.
	Took int64
	// Group and Pin are the priority group and the mark of its client.
	Group, Pin string
}
