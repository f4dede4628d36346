package multiraft

import "go.etcd.io/raft/v3/raftpb"

// write is one message of raft to the storage: records, and what may be said
// when they are durable, as all before them.
type write struct {
	records []written
	replies []*raftpb.Message
	release uint64            // may be released then
	changed *changed          // may be told then
	install *raftpb.Snapshot  // is installed then
	after   []*raftpb.Message // may be said when it is
	last    uint64            // highest index of the records
}

type written struct {
	term, index uint64
	kind        uint8
	data        []byte // nil where it is the state
}

// pipeline hands writes to the storage in order. The storage names what is
// durable by index, so no index is written again while it is in flight: such a
// write, the first after a change of term, waits. Only the group's goroutine uses
// it.
type pipeline struct {
	storage Storage
	log     *log
	queue   []write
	flight  []write
	blocked bool              // a snapshot is staged or being installed
	staged  []*raftpb.Message // what may be said when it is
	// installing is the snapshot whose staged record is durable.
	installing *raftpb.Snapshot
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
		high := p.high()
		if len(w.records) > 0 && w.records[0].index <= high {
			return done
		}
		p.queue[0] = write{}
		p.queue = p.queue[1:]
		p.blocked = w.install != nil
		switch {
		case len(w.records) > 0:
			w.last = w.records[len(w.records)-1].index
			p.flight = append(p.flight, w)
			p.hand(&w)
		case len(p.flight) > 0:
			w.last = high
			p.flight = append(p.flight, w)
		default:
			done = append(done, w)
		}
	}
	return done
}

// high is the highest index in flight.
func (p *pipeline) high() uint64 {
	if n := len(p.flight); n > 0 {
		return p.flight[n-1].last
	}
	return 0
}

// hand gives a write's records to the storage. Those of the state have what it is
// now: one that waited must not take a later mark, term or vote back.
func (p *pipeline) hand(w *write) {
	for _, r := range w.records {
		s := p.log.state
		// What raft knows to be committed may be entries that wait behind this, in
		// the place of others.
		s.Commit = p.log.applied
		switch r.kind {
		case KindHard, KindMark:
			r.data = AppendState(nil, &s)
		case KindStaged:
			meta := w.install.GetMetadata()
			s.Index, s.IndexTerm, s.Members = meta.GetIndex(), meta.GetTerm(), membersOf(meta.GetConfState())
			r.data = AppendState(nil, &s)
		}
		p.storage.Append(r.term, r.index, r.kind, true, r.data)
	}
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
