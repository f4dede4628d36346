package journal

// quantum is what a group may take in one turn, in bytes.
const quantum = 64 << 10

// run is what one group has in a batch.
type run struct {
	g    *Group
	from uint64 // place of its first entry
	a, b []pending
	last uint64 // index of its last entry
	high uint64 // its highest index
}

// takeLocked moves waiting entries into a batch that has cost bytes already: all
// of them if they fit, else in turns between groups, each as much as its deficit
// allows, so that a group that floods the journal does not delay the others. It
// adds their runs, and gives the sum of their costs.
func (j *Journal) takeLocked(runs []run, cost int64) ([]run, int64) {
	w := &j.w
	w.runs = runs
	from := len(runs)
	left := int64(j.maxBatch) - cost
	var took int64
	if j.bytes <= left {
		took = j.takeAllLocked()
	} else {
		took = j.takeTurnsLocked(left, cost == 0)
	}
	j.bytes -= took
	if j.bytes == 0 {
		j.urgent = false
	}
	runs, w.runs = w.runs, nil
	for i := from; i < len(runs); i++ {
		r := &runs[i]
		r.g.inBatch = false
		r.a, r.b = r.g.spanLocked(r.from, r.g.taken)
	}
	return runs, took
}

func (j *Journal) takeAllLocked() int64 {
	for _, g := range j.active {
		j.touchLocked(g)
		g.taken, g.deficit, g.active = g.tail, 0, false
	}
	clear(j.active)
	j.active = j.active[:0]
	return j.bytes
}

func (j *Journal) touchLocked(g *Group) {
	if !g.inBatch {
		g.inBatch = true
		j.w.runs = append(j.w.runs, run{g: g, from: g.taken})
	}
}

// takeTurnsLocked goes round the active groups until the batch is full, which has
// room for left bytes. The group whose entry did not fit is first in the next one.
func (j *Journal) takeTurnsLocked(left int64, empty bool) int64 {
	took := int64(0)
	queue, full := j.active, false
	for len(queue) > 0 && !full {
		g := queue[0]
		g.deficit = min(g.deficit+quantum, j.maxBatch+quantum)
		var n int64
		n, full = j.takeTurnLocked(g, left, empty && took == 0)
		took += n
		left -= n
		if g.taken == g.tail {
			g.active, g.deficit = false, 0
			queue = queue[1:]
		} else if !full {
			queue = append(queue[1:], g)
		}
	}
	j.active = append(j.w.spare[:0], queue...)
	j.w.spare = queue[:0]
	return took
}

// takeTurnLocked takes what a group may take. full says that the next entry has
// no place in this batch. An entry larger than a batch goes alone.
func (j *Journal) takeTurnLocked(g *Group, left int64, empty bool) (took int64, full bool) {
	for g.taken < g.tail {
		cost := int64(g.ring[g.taken&uint64(len(g.ring)-1)].cost())
		if min(cost, int64(j.maxBatch)) > int64(g.deficit) {
			return took, false
		}
		alone := empty && took == 0 && cost > left
		if cost > left && !alone {
			return took, true
		}
		j.touchLocked(g)
		g.deficit -= int(min(cost, int64(j.maxBatch)))
		g.taken++
		took += cost
		left -= cost
		if alone {
			return took, true
		}
	}
	return took, false
}
