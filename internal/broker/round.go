package broker

// Round gathers what several publishers stage for the same sinks. It is for publishers
// that one goroutine serves in turn: what they bring one message at a time is handed
// over as if one of them had brought it all, which costs a stream little more than one
// message does. It belongs to that goroutine. The zero value is ready.
type Round struct {
	held []held
}

type held struct {
	sink Sink
	what Held
}

// Held is what a sink has of a round's publishers.
type Held interface {
	// HandOver passes it on, once.
	HandOver()
}

// Gatherer is a stage that keeps what it was given in the publisher's round, if it
// has one: its HandOver leaves that where it is.
type Gatherer interface {
	Gathers() bool
}

// Held is what a sink holds in this round; nil: nothing yet.
func (r *Round) Held(s Sink) Held {
	for i := range r.held {
		if r.held[i].sink == s {
			return r.held[i].what
		}
	}
	return nil
}

// Hold keeps what a sink has begun to gather.
func (r *Round) Hold(s Sink, h Held) { r.held = append(r.held, held{s, h}) }

// End hands over all that is held, in the order in which it was begun.
func (r *Round) End() {
	for len(r.held) > 0 {
		list := r.held
		r.held = nil
		for i := range list {
			list[i].what.HandOver()
		}
		clear(list)
		if r.held == nil {
			r.held = list[:0]
			return
		}
	}
}
