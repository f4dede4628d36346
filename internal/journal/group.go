package journal

import "fmt"

// Group is one order of entries in the journal.
type Group struct {
	j         *Journal
	id        GroupID
	completer Completer

	// Guarded by j.mu.
	ring     []pending // a power of two of them
	head     uint64    // the oldest that is not completed
	taken    uint64    // from head to here they are in batches
	tail     uint64    // the next one's place
	deficit  int       // what it may still take this turn, in bytes
	active   bool      // in j.active
	inBatch  bool      // in the batch being gathered
	toldIn   uint64    // number of the batch that it is told of last
	toldAt   int       // its place in that batch's list
	released uint64
	dropped  bool
}

// Group registers who is told about a group. A group that is registered and not
// dropped may not be registered again.
func (j *Journal) Group(id GroupID, c Completer) *Group {
	g := &Group{j: j, id: id, completer: c}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.groups[id] != nil {
		panic(fmt.Sprintf("journal: group %d is registered twice", id))
	}
	j.groups[id] = g
	return g
}

// ID is the group's number.
func (g *Group) ID() GroupID { return g.id }

// Release says that all entries up to an index are stored elsewhere. Files
// whose entries are all released are recycled, oldest first. An index that was
// overwritten in a later term counts like any other: its file is free once the
// group releases that index or a higher one.
func (g *Group) Release(upto uint64) {
	j := g.j
	j.mu.Lock()
	if upto > g.released {
		g.released = upto
		for _, f := range j.files {
			if last, ok := f.held[g.id]; ok && last <= upto {
				delete(f.held, g.id)
			}
		}
		j.settleLocked()
	}
	j.mu.Unlock()
}

// Drop says that the group is deleted: all its entries count as released, those
// still to be written, too. Its completer may hear of entries in flight.
func (g *Group) Drop() {
	j := g.j
	j.mu.Lock()
	g.dropped = true
	if j.groups[g.id] == g {
		delete(j.groups, g.id)
	}
	j.forgetLocked(g.id)
	j.mu.Unlock()
}

// Forget counts all entries of a group that nobody registered as released. It
// is for groups that replay showed and that exist no more.
func (j *Journal) Forget(id GroupID) {
	j.mu.Lock()
	if j.groups[id] == nil {
		j.forgetLocked(id)
	}
	j.mu.Unlock()
}

func (j *Journal) forgetLocked(id GroupID) {
	for _, f := range j.files {
		delete(f.held, id)
	}
	j.settleLocked()
}

// Unclaimed lists the groups that hold files back and that nobody registered.
func (j *Journal) Unclaimed() []GroupID {
	j.mu.Lock()
	defer j.mu.Unlock()
	seen := make(map[GroupID]struct{})
	for _, f := range j.files {
		for id := range f.held {
			if j.groups[id] == nil {
				seen[id] = struct{}{}
			}
		}
	}
	return sortedIDs(seen)
}

// slotLocked gives the place of the next entry, growing the ring when full.
func (g *Group) slotLocked() *pending {
	if g.tail-g.head == uint64(len(g.ring)) {
		grown := make([]pending, max(firstRing, 2*len(g.ring)))
		for i := g.head; i < g.tail; i++ {
			grown[i&uint64(len(grown)-1)] = g.ring[i&uint64(len(g.ring)-1)]
		}
		g.ring = grown
	}
	p := &g.ring[g.tail&uint64(len(g.ring)-1)]
	g.tail++
	return p
}

// spanLocked gives the entries from one place to another as two slices. They stay
// as they are until finishLocked, even if the ring grows.
func (g *Group) spanLocked(from, to uint64) (a, b []pending) {
	n := to - from
	if n == 0 {
		return nil, nil
	}
	at := from & uint64(len(g.ring)-1)
	first := min(n, uint64(len(g.ring))-at)
	return g.ring[at : at+first], g.ring[:n-first]
}

// finishLocked gives the places of a run's entries back, which are the group's
// oldest.
func (g *Group) finishLocked(r *run) {
	a, b := g.spanLocked(r.from, r.from+uint64(len(r.a)+len(r.b)))
	clear(a)
	clear(b)
	g.head = r.from + uint64(len(a)+len(b))
	if n := len(a) + len(b); g.head == g.tail && len(g.ring) > max(idleRing, 8*n) {
		g.ring = nil
	}
}

// firstRing is the length of a group's first ring: of many groups most have one entry
// on its way, if any.
const firstRing = 2

// idleRing is the largest ring that a group keeps whatever it needs; a larger
// one goes when a batch uses less than an eighth of it.
const idleRing = 256
