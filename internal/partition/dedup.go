package partition

import "github.com/weirmq/weir/internal/record"

// dedup remembers the ids of the window: which sequence has which id. Its bounds
// are the window's age, which the leader turns into a floor of sequences, and a
// number of entries. Guarded by Partition.mu.
type dedup struct {
	byID  map[record.ID]uint64
	order []dedupEntry // by sequence
	head  int          // entries before it are evicted
}

type dedupEntry struct {
	id   record.ID
	seq  uint64
	time int64
}

func (d *dedup) init() { d.byID = map[record.ID]uint64{} }

// len is the number of ids in the window.
func (d *dedup) len() int { return len(d.order) - d.head }

// find returns the sequence that has the id, 0 if there is none.
func (d *dedup) find(id record.ID) uint64 { return d.byID[id] }

func (d *dedup) add(id record.ID, seq uint64, time int64) {
	if d.byID[id] == seq {
		return // admitted here, and now applied
	}
	d.byID[id] = seq
	d.order = append(d.order, dedupEntry{id, seq, time})
}

// cut forgets the ids that were added last, so that n entries of order are left.
func (d *dedup) cut(n int) {
	for _, e := range d.order[n:] {
		if d.byID[e.id] == e.seq {
			delete(d.byID, e.id)
		}
	}
	d.order = d.order[:n]
}

// floor returns the lowest sequence whose id still counts at now; all after
// next, the next sequence to be given, when none does.
func (d *dedup) floor(now, window int64, next uint64) uint64 {
	for i := d.head; i < len(d.order); i++ {
		if d.order[i].time > now-window {
			return d.order[i].seq
		}
	}
	return next
}

// evict forgets ids below the floor.
func (d *dedup) evict(floor uint64) {
	for d.head < len(d.order) && d.order[d.head].seq < floor {
		e := &d.order[d.head]
		if d.byID[e.id] == e.seq {
			delete(d.byID, e.id)
		}
		d.head++
	}
	if d.head > 1024 && d.head > len(d.order)/2 {
		d.order = append(d.order[:0], d.order[d.head:]...)
		d.head = 0
	}
}
