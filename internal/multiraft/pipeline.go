package multiraft

import "go.etcd.io/raft/v3/raftpb"

// write is one message of raft to the storage: records, and what may be said
// when they are durable, as all before them.
type write struct {
	records []written
	replies []*raftpb.Message
	release uint64            // may be released then
	install *raftpb.Snapshot  // is installed then
	after   []*raftpb.Message // may be said when it is
	entries []*raftpb.Entry   // keeps the records' bytes alive
	last    uint64            // highest index of the records
}

type written struct {
	term, index uint64
	kind        uint8
	data        []byte // nil: the state
}

// pipeline hands writes to the storage in order. The storage names what is
// durable by index, so no index is written again while it is in flight: such a
// write, the first after a change of term, waits. Only the group's goroutine uses
// it.
type pipeline struct {
	storage Storage
	state   *State
	queue   []write
	flight  []write
	blocked bool              // a snapshot is staged or being installed
	staged  []*raftpb.Message // what may be said when it is
}

// push queues a write and hands over what can be.
func (p *pipeline) push(w write) (done []write) {
	p.queue = append(p.queue, w)
	return p.pump()
}

// pump hands writes to the storage, and returns those that need not wait.
func (p *pipeline) pump() (done []write) {
	for len(p.queue) > 0 && !p.blocked {
		w := p.queue[0]
		var high uint64
		if n := len(p.flight); n > 0 {
			high = p.flight[n-1].last
		}
		if len(w.records) > 0 && w.records[0].index <= high {
			return done
		}
		p.queue[0] = write{}
		p.queue = p.queue[1:]
		if w.install != nil {
			p.blocked = true
		}
		if len(w.records) == 0 {
			if len(p.flight) == 0 {
				done = append(done, w)
				continue
			}
			w.last = high
			p.flight = append(p.flight, w)
			continue
		}
		w.last = w.records[len(w.records)-1].index
		p.flight = append(p.flight, w)
		for _, r := range w.records {
			if r.kind >= FirstOwnKind && r.kind != KindEmpty && r.data == nil {
				// The newest one: a write that waited must not take the mark back.
				r.data = AppendState(nil, *p.state)
			}
			p.storage.Append(r.term, r.index, r.kind, true, r.data)
		}
	}
	return done
}

// durable returns the writes that are durable now.
func (p *pipeline) durable(upto uint64) (done []write) {
	for len(p.flight) > 0 && p.flight[0].last <= upto {
		done = append(done, p.flight[0])
		p.flight[0] = write{}
		p.flight = p.flight[1:]
	}
	return done
}

// unblock goes on behind a snapshot: first comes its mark.
func (p *pipeline) unblock(mark write) {
	p.blocked = false
	p.queue = append([]write{mark}, p.queue...)
}
