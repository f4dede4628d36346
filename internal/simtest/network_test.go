package simtest

import (
	"bytes"
	"errors"
	"io"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/weirmq/weir/internal/multiraft"
)

// network joins the nodes.
type network struct {
	s *sim
	// cut counts the faults that keep what one node sends from another.
	cut [nodeCount + 1][nodeCount + 1]int
}

func (w *network) init(s *sim) { w.s = s }

// delay draws how long a message is on its way.
func (w *network) delay() time.Duration {
	s := w.s
	if s.faults.reorder && !s.calm {
		switch {
		case s.chance(100):
			s.saw("message very late")
			return s.between(100*time.Millisecond, 2*time.Second)
		case s.chance(10):
			return s.between(time.Millisecond, 60*time.Millisecond)
		}
		return s.between(100*time.Microsecond, 8*time.Millisecond)
	}
	return time.Millisecond
}

// lost says whether a message goes nowhere.
func (w *network) lost(from, to uint32) bool {
	s := w.s
	if w.cut[from][to] > 0 {
		s.saw("message cut off")
		return true
	}
	if s.faults.drop && !s.calm && s.chance(20) {
		s.saw("message dropped")
		return true
	}
	return false
}

// carry lets something arrive at another node: once, never or twice.
func (w *network) carry(from, to uint32, arrive func()) {
	s := w.s
	if w.lost(from, to) {
		return
	}
	times := 1
	if s.faults.double && !s.calm && s.chance(15) {
		s.saw("message doubled")
		times = 2
	}
	for range times {
		s.after(w.delay(), func() {
			if w.cut[from][to] == 0 {
				arrive()
			}
		})
	}
}

// send takes one message of raft, as bytes, as a real network would.
func (w *network) send(from uint32, m multiraft.Message) {
	s := w.s
	s.model.sent(from, &m)
	var wire []byte
	if m.Raft != nil {
		var err error
		if wire, err = proto.Marshal(m.Raft); err != nil {
			s.fail("encode message: %v", err)
			return
		}
	}
	w.carry(from, multiraft.NodeOf(m.To), func() { w.deliver(from, m, wire) })
}

func (w *network) deliver(from uint32, m multiraft.Message, wire []byte) {
	s := w.s
	n := s.nodes[multiraft.NodeOf(m.To)-1]
	if !n.up {
		return
	}
	if m.Raft != nil {
		m.Raft = &raftpb.Message{}
		if err := proto.Unmarshal(wire, m.Raft); err != nil {
			s.fail("decode message: %v", err)
			return
		}
	}
	if s.history != nil || s.steps%8 == 0 {
		s.trace("node %d gets of %d: group %d %v", n.id, from, m.Group, describe(&m))
	}
	n.pool.Receive([]multiraft.Message{m})
	n.work()
}

// describe gives a message in a line.
func describe(m *multiraft.Message) any {
	if m.Raft == nil {
		return "wants a snapshot"
	}
	r := m.Raft
	return struct {
		Type                                string
		Term, LogTerm, Index, Commit, Count uint64
		Reject                              bool
	}{r.GetType().String(), r.GetTerm(), r.GetLogTerm(), r.GetIndex(), r.GetCommit(), uint64(len(r.GetEntries())), r.GetReject()}
}

// stream takes a snapshot. It may be cut short anywhere, and doubled.
func (w *network) stream(from uint32, m multiraft.Message, body io.ReadCloser) {
	s, to := w.s, multiraft.NodeOf(m.To)
	s.model.sent(from, &m)
	b, err := io.ReadAll(body)
	if err != nil && !errors.Is(err, errUnreadable) { // else what came before it is sent
		s.fail("read snapshot: %v", err)
		return
	}
	s.saw("snapshot sent")
	if s.faults.cutSnapshots && !s.calm && s.chance(2) {
		s.saw("snapshot cut short")
		b = b[:s.rnd.IntN(len(b)+1)]
	}
	sent := s.between(time.Millisecond, 200*time.Millisecond)
	s.after(sent, func() {
		// The sender is done, whatever becomes of it.
		if err := body.Close(); err != nil {
			s.fail("close snapshot: %v", err)
		}
		s.nodes[from-1].work()
		w.carry(from, to, func() { w.deliverStream(from, m, b) })
	})
}

func (w *network) deliverStream(from uint32, m multiraft.Message, b []byte) {
	s := w.s
	n := s.nodes[multiraft.NodeOf(m.To)-1]
	if !n.up {
		return
	}
	s.trace("node %d gets of %d a snapshot of group %d, %d bytes", n.id, from, m.Group, len(b))
	m.Raft = proto.Clone(m.Raft).(*raftpb.Message)
	n.pool.ReceiveStream(m, io.NopCloser(bytes.NewReader(b)))
	n.work()
}
