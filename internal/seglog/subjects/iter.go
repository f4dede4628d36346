package subjects

import "bytes"

// runIter walks through a run.
type runIter struct {
	pages
	x     *blockIndex
	i     int // the block that in walks through
	in    blockIter
	pace  Pace
	valid bool
	err   error
}

// seek goes to the first entry at or behind name.
func (it *runIter) seek(name []byte) {
	x, err := it.index()
	if err != nil {
		it.err = err
		return
	}
	it.x = x
	it.i = max(x.find(name), 0)
	if it.enter() && it.in.seek(name) {
		it.valid = true
		return
	}
	it.step()
}

// enter opens block i, if there is one.
func (it *runIter) enter() bool {
	if it.err != nil || it.i >= len(it.x.blocks) {
		return false
	}
	at := it.x.blocks[it.i]
	if it.pace != nil {
		if it.err = it.pace(int(at.length)); it.err != nil {
			return false
		}
	}
	b, err := it.block(at)
	if err != nil {
		it.err = err
		return false
	}
	it.in.start(b)
	return true
}

// step goes on after the block's last entry.
func (it *runIter) step() {
	for it.valid = false; it.err == nil && it.i < len(it.x.blocks); {
		if it.in.err != nil {
			it.err = it.at(it.x.blocks[it.i].off, it.in.err)
			return
		}
		it.i++
		if it.enter() && it.in.next() {
			it.valid = true
			return
		}
	}
}

func (it *runIter) next() {
	if it.in.next() {
		return
	}
	it.step()
}

// merged walks through several runs at once, oldest first: of a subject that
// several have, it gives the newest entry, tombstones included.
type merged struct {
	runs []runIter
	at   int // the run whose entry is current
	err  error
}

func newMerged(runs []*run, from []byte, once bool, pace Pace) *merged {
	m := &merged{runs: make([]runIter, len(runs)), at: -1}
	for i, r := range runs {
		m.runs[i].pages = pages{run: r, once: once}
		m.runs[i].pace = pace
		m.runs[i].seek(from)
	}
	return m
}

func (m *merged) close() {
	for i := range m.runs {
		m.runs[i].close()
	}
}

// next goes to the next subject; false at the end and after an error.
func (m *merged) next() bool {
	if m.at >= 0 {
		m.skip(m.runs[m.at].in.name)
	}
	m.at = -1
	for i := range m.runs {
		it := &m.runs[i]
		if it.err != nil {
			m.err = it.err
			return false
		}
		// Not less than the one found so far: newer runs win.
		if it.valid && (m.at < 0 || bytes.Compare(it.in.name, m.runs[m.at].in.name) <= 0) {
			m.at = i
		}
	}
	return m.at >= 0
}

// skip takes all runs beyond a subject, the one that holds its bytes last.
func (m *merged) skip(name []byte) {
	for i := range m.runs {
		if it := &m.runs[i]; i != m.at && it.valid && bytes.Equal(it.in.name, name) {
			it.next()
		}
	}
	m.runs[m.at].next()
}

func (m *merged) name() []byte  { return m.runs[m.at].in.name }
func (m *merged) entry() *Entry { return &m.runs[m.at].in.entry }
