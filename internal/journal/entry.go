package journal

// GroupID names a group for ever; a number is not used again after Drop.
type GroupID uint64

// Entry is one entry as replay sees it.
type Entry struct {
	Group GroupID
	Term  uint64
	Index uint64
	Kind  uint8
	Data  []byte // borrowed
}

// Urgency says whether somebody waits for an entry.
type Urgency uint8

const (
	// Riding entries go with the next batch, at the latest after RideLimit.
	Riding Urgency = iota
	// Urgent entries start a batch as soon as the writer is free.
	Urgent
)

// Completer is told what became of a group's entries. Its methods run on the
// journal's goroutines, one at a time, without locks; they must not block, since
// the next batch waits for them.
type Completer interface {
	// Durable says that all entries up to this one, the last of a batch, are
	// on stable storage. It is called once for each batch with entries of the
	// group.
	Durable(upto uint64)
	// Failed says that no entry will be acknowledged any more. It is called
	// once.
	Failed(err error)
}

// inlineParts is how many parts an entry keeps without an allocation.
const inlineParts = 4

// pending is an entry that waits to be written.
type pending struct {
	term   uint64
	index  uint64
	size   int // of the data
	sum    uint32
	kind   uint8
	summed bool // sum was given
	n      uint8
	inline [inlineParts][]byte
	more   [][]byte // instead of inline where there are more parts
}

func (p *pending) parts() [][]byte {
	if p.more != nil {
		return p.more
	}
	return p.inline[:p.n]
}

// cost is what the entry takes in a batch, in bytes.
func (p *pending) cost() int { return p.size + recordSize }

// fill sets all fields and copies the slice headers of parts.
func (p *pending) fill(term, index uint64, kind uint8, parts [][]byte, size int) {
	p.term, p.index, p.kind, p.size = term, index, kind, size
	p.summed, p.sum = false, 0
	p.more, p.n = nil, uint8(min(len(parts), inlineParts))
	if len(parts) > inlineParts {
		p.more = append([][]byte(nil), parts...)
		return
	}
	copy(p.inline[:], parts)
}
