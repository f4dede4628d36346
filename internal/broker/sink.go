package broker

// Sink is a destination: a client connection, a stream's ingest, a service, a
// link. It is compared by identity, so implementations are pointers.
type Sink interface {
	// OpenStage gives the stage of one publisher. It is called on the publisher's
	// goroutine, once for each publisher while that remembers the sink.
	OpenStage(p *Publisher) Stage
}

// Stage gathers what one publisher sends to one sink. Its methods run on the
// publisher's goroutine, without a lock of the caller's held, and never block.
type Stage interface {
	// Add stages m for sub. It copies what it keeps, unless m is Stable.
	Add(sub *Subscription, m *Message) Verdict
	// HandOver passes on all that was added, once for a read buffer. It is called
	// only after an Add or a Touch.
	HandOver()
}

// Verdict is a stage's answer.
type Verdict uint8

// The verdicts.
const (
	Staged Verdict = iota // it is on its way
	Full                  // over budget; the publisher may offer it again later (Publisher.Again)
	Gone                  // closed or not to be delivered; a queue group tries its next member
)

// Permissions judge a publisher's subjects. They are called on its goroutine.
type Permissions interface {
	// MayPublish judges a subject. fixed says that the answer holds for as long as
	// these permissions are used, so that it may be cached.
	MayPublish(subject []byte) (allowed, fixed bool)
}
