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
const inlineParts = 2

// pending is an entry that waits to be written.
type pending struct {
	term   uint64
	index  uint64
	size   int // of the data
	room   int // what the data counts for in a batch
	sum    uint32
	kind   lineKind
	summed bool // sum was given
	n      uint8
	inline [inlineParts][]byte
	more   [][]byte // instead of inline where there are more parts
	extent *extentWrite
}

// payload says what the parts of an entry are. They are no part of it, so that they
// do not escape with the extent.
type payload struct {
	size   int // of all parts
	sum    uint32
	summed bool         // sum is that of the parts
	extent *extentWrite // of which the parts are the place; nil: they are the data
}

func (p *pending) parts() [][]byte {
	if p.more != nil {
		return p.more
	}
	return p.inline[:p.n]
}

// cost is what the entry takes in a batch, in bytes. One in an extent takes what
// is written there, but no more than a whole batch: its batch waits for it.
func (p *pending) cost() int { return p.room + recordSize }

// fill sets all fields and copies the slice headers of the parts.
func (p *pending) fill(term, index uint64, kind uint8, d payload, parts [][]byte) {
	p.term, p.index, p.kind, p.size, p.room = term, index, lineKind(kind), d.size, d.size
	p.summed, p.sum, p.extent = d.summed, d.sum, d.extent
	if d.extent != nil {
		p.kind |= extentFlag
	}
	p.more, p.n = nil, uint8(min(len(parts), inlineParts))
	if len(parts) > inlineParts {
		p.more = append([][]byte(nil), parts...)
		return
	}
	copy(p.inline[:], parts)
}
