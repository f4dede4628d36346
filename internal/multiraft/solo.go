package multiraft

import "sync"

// Entry is one committed change of state. Data is borrowed. Value is what the
// proposer on this node gave with it; nil in replay.
type Entry struct {
	Term, Index uint64
	Kind        uint8
	Data        []byte
	Value       any
}

// Machine is the state that the entries change. Apply is called in order, by one
// goroutine at a time, without locks held; it must not block.
type Machine interface {
	Apply(Entry)
	// Settled follows the last of the entries that became durable together.
	Settled()
	// Discard takes back an entry whose outcome is unknown for ever.
	Discard(Entry)
	// Failed says that nothing in flight will ever be applied.
	Failed(error)
}

// Storage is the durable log of the group. Append queues and does not block;
// Solo.Durable and Solo.Failed tell what became of it. The parts are kept
// unchanged until then.
type Storage interface {
	Append(term, index uint64, kind uint8, urgent bool, parts ...[]byte)
	Release(index uint64)
}

// Solo is a group with one voter.
type Solo struct {
	// Set at construction.
	machine Machine
	storage Storage
	term    uint64

	// Only the proposer: calls of Propose come one at a time.
	index uint64

	mu sync.Mutex
	// Guarded by mu: entries in flight, oldest first.
	flight []Entry
	head   int
}

// soloTerm is the term of every entry of a group that never held an election.
const soloTerm = 1

// NewSolo returns a group whose machine is at index 0. Bind gives it its storage
// and machine, Replay its entries.
func NewSolo() *Solo { return &Solo{term: soloTerm} }

// Bind sets what the group works with. It is called once, before all else.
func (s *Solo) Bind(storage Storage, machine Machine) {
	s.storage, s.machine = storage, machine
}

// Term is the term of new entries.
func (s *Solo) Term() uint64 { return s.term }

// Release says that the machine has entries up to index in a store of its own.
func (s *Solo) Release(index uint64) { s.storage.Release(index) }

// StartAt says that the machine has already all entries up to index.
func (s *Solo) StartAt(index uint64) { s.index = max(s.index, index) }

// Replay applies an entry that was found in the storage. Entries come in order,
// before the first Propose; some may come that the machine has already.
func (s *Solo) Replay(e Entry) {
	s.index = max(s.index, e.Index)
	s.term = max(s.term, e.Term)
	s.machine.Apply(e)
}

// Propose numbers an entry and hands it to the storage. Calls come one at a time.
// For an entry of one part, Data of the applied entry is that part; of more, it
// is empty and value must carry what is needed.
func (s *Solo) Propose(kind uint8, urgent bool, value any, parts ...[]byte) {
	s.index++
	e := Entry{Term: s.term, Index: s.index, Kind: kind, Value: value}
	if len(parts) == 1 || len(parts) == 2 && parts[1] == nil {
		e.Data = parts[0]
	}
	s.mu.Lock()
	s.flight = append(s.flight, e)
	s.mu.Unlock()
	s.storage.Append(s.term, e.Index, kind, urgent, parts...)
}

// Durable applies the entries up to an index: with one voter, durable is
// committed. It is the journal's call.
func (s *Solo) Durable(upto uint64) {
	for {
		s.mu.Lock()
		if s.head == len(s.flight) || s.flight[s.head].Index > upto {
			s.compactLocked()
			s.mu.Unlock()
			s.machine.Settled()
			return
		}
		e := s.flight[s.head]
		s.flight[s.head] = Entry{}
		s.head++
		s.mu.Unlock()
		s.machine.Apply(e)
	}
}

// compactLocked gives the list's beginning back.
func (s *Solo) compactLocked() {
	switch {
	case s.head == len(s.flight):
		s.flight, s.head = s.flight[:0], 0
	case s.head > 1024:
		n := copy(s.flight, s.flight[s.head:])
		clear(s.flight[n:])
		s.flight, s.head = s.flight[:n], 0
	}
}

// Failed tells the machine that the storage is dead, and gives back what was in
// flight. It is the journal's call.
func (s *Solo) Failed(err error) {
	s.mu.Lock()
	lost := s.flight[s.head:]
	s.flight, s.head = nil, 0
	s.mu.Unlock()
	s.machine.Failed(err)
	for i := range lost {
		s.machine.Discard(lost[i])
	}
}
