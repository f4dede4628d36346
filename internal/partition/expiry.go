package partition

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// ticks are how exactly the end of a time to live is kept: 100 ms.
const ticks = 100_000_000

// expiry knows which live records have a time to live, and in which tick it ends.
// It is part of the applied state: only the group's goroutine changes it,
// under Partition.mu.
type expiry struct {
	due     map[int64]*seqset.Set // by the tick, since 1970, from which on they may go
	order   tickHeap              // of the ticks in due, and some that are gone
	forever uint64                // live records that no age ends
	marked  seqset.Set            // live records that are marked
	marks   uint64                // counts those that were marked
}

// tickOf is the first tick at whose beginning the record may go; ok is false where
// it has no time to live.
func tickOf(v *record.View) (tick int64, ok bool) {
	if v.TTL <= 0 {
		return 0, false
	}
	end := v.Time + v.TTL
	if end < v.Time {
		end = math.MaxInt64 // not in this world
	}
	return (end-1)/ticks + 1, true
}

func (x *expiry) add(v *record.View) {
	if v.Marked {
		x.marked.Add(v.Seq)
		x.marks++
	}
	if v.TTL == record.Forever {
		x.forever++
		return
	}
	tick, ok := tickOf(v)
	if !ok {
		return
	}
	set := x.due[tick]
	if set == nil {
		if x.due == nil {
			x.due = make(map[int64]*seqset.Set)
		}
		set = new(seqset.Set)
		x.due[tick] = set
		heap.Push(&x.order, tick)
	}
	set.Add(v.Seq)
}

func (x *expiry) remove(v *record.View) {
	if v.Marked {
		x.marked.Remove(v.Seq)
	}
	if v.TTL == record.Forever {
		x.forever--
		return
	}
	tick, ok := tickOf(v)
	if !ok {
		return
	}
	if set := x.due[tick]; set != nil {
		if set.Remove(v.Seq); set.Count() == 0 {
			delete(x.due, tick)
		}
	}
}

// forget takes a record out of which only the sequence is known.
func (x *expiry) forget(seq uint64) {
	x.marked.Remove(seq)
	for tick, set := range x.due {
		if set.Remove(seq) && set.Count() == 0 {
			delete(x.due, tick)
		}
	}
}

func (x *expiry) clear() { *x = expiry{marks: x.marks} }

// next is the first tick at which something is due; ok is false if there is
// none.
func (x *expiry) next() (tick int64, ok bool) {
	for len(x.order) > 0 {
		tick := x.order[0]
		if x.due[tick] != nil {
			return tick, true
		}
		heap.Pop(&x.order)
	}
	return 0, false
}

// at gives the sequences that are due at now, at most limit, rising.
func (x *expiry) at(now int64, limit int) []uint64 {
	var seqs []uint64
	var later []int64
	for len(seqs) < limit {
		tick, ok := x.next()
		if !ok || tick > now/ticks {
			break
		}
		heap.Pop(&x.order)
		later = append(later, tick)
		for seq := range x.due[tick].All() {
			if len(seqs) == limit {
				break
			}
			seqs = append(seqs, seq)
		}
	}
	for _, tick := range later {
		heap.Push(&x.order, tick) // until they are removed
	}
	slices.Sort(seqs)
	return seqs
}

// append encodes, little endian: the records for ever (8), the count of ticks
// (4), then each, rising: the tick (8), the set's length (4), the set; then the set
// of marked records, with its length (4).
func (x *expiry) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, x.forever)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(x.due)))
	all := make([]int64, 0, len(x.due))
	for tick := range x.due {
		all = append(all, tick)
	}
	slices.Sort(all)
	for _, tick := range all {
		b = binary.LittleEndian.AppendUint64(b, uint64(tick))
		at := len(b)
		b = x.due[tick].Append(append(b, 0, 0, 0, 0))
		binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return appendBlock(b, x.marked.Append(nil))
}

// decodeExpiry reads what append wrote. It is total.
func decodeExpiry(b []byte) (expiry, error) {
	var x expiry
	if len(b) < 12 {
		return x, fmt.Errorf("times to live of %d bytes: %w", len(b), record.ErrDamaged)
	}
	x.forever = binary.LittleEndian.Uint64(b)
	n := binary.LittleEndian.Uint32(b[8:])
	b = b[12:]
	for range n {
		if len(b) < 8 {
			return x, fmt.Errorf("times to live: %w", record.ErrDamaged)
		}
		tick := int64(binary.LittleEndian.Uint64(b))
		block, rest, err := takeBlock(b[8:])
		if err != nil {
			return x, fmt.Errorf("times to live: %w", err)
		}
		set, more, err := seqset.Decode(block)
		if err != nil || len(more) > 0 || set.Count() == 0 || x.due[tick] != nil {
			return x, fmt.Errorf("times to live at tick %d: %w", tick, record.ErrDamaged)
		}
		if x.due == nil {
			x.due = make(map[int64]*seqset.Set)
		}
		x.due[tick] = &set
		x.order = append(x.order, tick)
		b = rest
	}
	heap.Init(&x.order)
	block, rest, err := takeBlock(b)
	if err != nil || len(rest) > 0 {
		return x, fmt.Errorf("marked records: %w", record.ErrDamaged)
	}
	if x.marked, rest, err = seqset.Decode(block); err != nil || len(rest) > 0 {
		return x, fmt.Errorf("marked records: %w", record.ErrDamaged)
	}
	x.marks = x.marked.Count()
	return x, nil
}

// tickHeap is a heap of ticks, the first at the top.
type tickHeap []int64

func (h tickHeap) Len() int           { return len(h) }
func (h tickHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h tickHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *tickHeap) Push(x any)        { *h = append(*h, x.(int64)) }

func (h *tickHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// NextExpiry is when a time to live ends, Unix nanoseconds; 0: none is running.
func (p *Partition) NextExpiry() int64 { return p.nextExpiry.Load() }

// Marks counts the marked records that were committed: another number says that
// there are new ones.
func (p *Partition) Marks() uint64 { return p.marks.Load() }

// Marked gives the live marked records from a sequence on, rising.
func (p *Partition) Marked(from uint64) (seqs []uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for seq := range p.expiry.marked.All() {
		if seq >= from {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// showExpiryLocked publishes what NextExpiry and Marks give.
func (p *Partition) showExpiryLocked() {
	p.marks.Store(p.expiry.marks)
	next := int64(0)
	if tick, ok := p.expiry.next(); ok {
		next = nanos(tick)
	}
	p.nextExpiry.Store(next)
}

// nanos is the beginning of a tick in Unix nanoseconds.
func nanos(tick int64) int64 { return min(tick, math.MaxInt64/ticks) * ticks }

// Expire proposes the removal of records whose time to live has ended at now, or
// that are older than the log's maximum age, at most limit of each at a time. It
// returns when it is to be asked again: 0 when there is nothing to wait for.
// Where it waits for a removal to take effect it proposes nothing. One goroutine
// at a time may call it or Old.
func (p *Partition) Expire(now int64, limit int) (next int64, err error) {
	if p.expiring.Load() {
		return now + expiryPause, nil
	}
	old, next, err := p.old(now, limit)
	if err != nil || len(old.seqs) == 0 && old.below == 0 {
		return next, err
	}
	r := &Removal{Below: old.below}
	for _, seq := range old.seqs {
		r.Set.Add(seq)
	}
	p.expiring.Store(true)
	err = p.Propose(record.KindRemove, false, removalDone(func(error) { p.expiring.Store(false) }), AppendRemoval(nil, r))
	if err != nil {
		p.expiring.Store(false)
	}
	return next, err
}

// expiryPause is how soon to ask again while a removal is under way.
const expiryPause = int64(50e6)

// Old gives the records that Expire would remove, at most limit, rising, and when
// to ask again. It is for who does more with them than removing.
func (p *Partition) Old(now int64, limit int) (seqs []uint64, next int64, err error) {
	old, next, err := p.old(now, limit)
	if err != nil || old.below == 0 {
		return old.seqs, next, err
	}
	for seq := p.First(); seq < old.below; seq++ {
		if p.Live(seq) {
			seqs = append(seqs, seq)
		}
	}
	seqs = append(seqs, old.seqs...)
	slices.Sort(seqs)
	return slices.Compact(seqs), next, nil
}

// old is what has become too old: all below a sequence, and single records.
type old struct {
	below uint64
	seqs  []uint64
}

func (p *Partition) old(now int64, limit int) (o old, next int64, err error) {
	p.mu.Lock()
	age, last := p.limits.MaxAge, p.done.last
	o.seqs = p.expiry.at(now, limit)
	if tick, ok := p.expiry.next(); ok {
		next = nanos(max(tick, now/ticks+1))
	}
	forever := p.expiry.forever > 0
	first := max(p.done.first, p.aged)
	empty := p.done.records == 0
	p.mu.Unlock()
	if len(o.seqs) == limit {
		next = now
	}
	if age <= 0 || empty {
		return o, next, nil
	}
	from, seqs, at, err := p.aging(now-age, first, last, limit, forever)
	if at != 0 {
		if at = max(at+age, now); next == 0 || at < next {
			next = at
		}
	}
	if forever {
		p.aged = max(p.aged, from)
		o.seqs = append(o.seqs, seqs...)
	} else if from > first {
		o.below = from
	}
	return o, next, err
}

// aging reads on from first over records of a time up to oldest. It returns the
// sequence where it ended, the live records before it, if single is set, that have
// an end at all, and the time of the record that it ended at; 0 for the end of the
// log.
func (p *Partition) aging(oldest int64, first, last uint64, limit int, single bool) (at uint64, seqs []uint64, stored int64, err error) {
	c := p.store.Cursor(first)
	defer c.Close()
	at = first
	for i := 0; ; i++ {
		v, err := c.Next()
		if errors.Is(err, record.ErrDamaged) {
			continue // it goes with the next that can be read
		}
		if err != nil || v.Seq > last {
			return at, seqs, 0, nil
		}
		if v.Time > oldest || i >= limit {
			return at, seqs, v.Time, nil
		}
		at = v.Seq + 1
		if single && v.TTL != record.Forever && p.Live(v.Seq) {
			seqs = append(seqs, v.Seq)
		}
	}
}
