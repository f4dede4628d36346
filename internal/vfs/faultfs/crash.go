package faultfs

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
)

// Mode says which unsynced changes a crash leaves on the disk.
type Mode uint8

// The modes of a crash.
const (
	DropUnsynced  Mode = iota // nothing unsynced survives
	KeepAll                   // all survives, as after kill -9
	RandomSectors             // each 512-byte sector of each write survives or not
	RandomWrites              // each write survives or not, whatever its place in time
	TornLast                  // writes survive up to one, which is cut at a sector
	ZeroTail                  // the same; the cut part is zeros
	GarbageTail               // the same; the cut part is noise
)

// Modes lists all modes.
var Modes = []Mode{DropUnsynced, KeepAll, RandomSectors, RandomWrites, TornLast, ZeroTail, GarbageTail}

func (m Mode) String() string {
	return [...]string{"DropUnsynced", "KeepAll", "RandomSectors", "RandomWrites", "TornLast", "ZeroTail", "GarbageTail"}[m]
}

// CrashClone gives the disk that a crash now could leave: a file system of its
// own, all synced, without injectors, locks and stop. The same mode and seed
// give the same disk. f goes on unharmed.
func (f *FS) CrashClone(mode Mode, seed uint64) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &crash{mode: mode, rnd: rand.New(rand.NewPCG(seed, uint64(mode))), done: map[*node]*node{}}
	g := New()
	g.root = c.dir(f.root)
	g.capacity, g.direct = f.capacity, f.direct
	g.used = usedBelow(g.root)
	return g
}

// usedBelow sums the space of the files below a directory.
func usedBelow(d *node) int64 {
	var sum int64
	for _, n := range d.names {
		if n.dir {
			sum += usedBelow(n)
		} else {
			sum += n.usage()
		}
	}
	return sum
}

type crash struct {
	mode Mode
	rnd  *rand.Rand
	done map[*node]*node
}

func (c *crash) clone(n *node) *node {
	if g := c.done[n]; g != nil {
		return g
	}
	g := &node{}
	if n.dir {
		g = c.dir(n)
	} else {
		c.file(n, g)
	}
	c.done[n] = g
	return g
}

func (c *crash) dir(n *node) *node {
	names := maps.Clone(n.durableNames)
	keep := c.cut(len(n.moves))
	for i, m := range n.moves {
		if c.survives(i, keep) {
			applyMove(names, m)
		}
	}
	g := newDir()
	for _, name := range slices.SortedFunc(maps.Keys(names), cmp.Compare[string]) {
		g.names[name] = c.clone(names[name])
	}
	g.syncNames()
	return g
}

// cut is how many of n changes survive where a mode keeps the first ones.
func (c *crash) cut(n int) int {
	switch c.mode {
	case DropUnsynced:
		return 0
	case KeepAll:
		return n
	default:
		return c.rnd.IntN(n + 1)
	}
}

// survives says whether change i does, of which the first keep would.
func (c *crash) survives(i, keep int) bool {
	switch c.mode {
	case RandomSectors, RandomWrites:
		return c.rnd.IntN(2) == 0
	default:
		return i < keep
	}
}

func (c *crash) file(n, g *node) {
	g.live = n.durable.share()
	changes := slices.Concat(n.lost, n.pending)
	keep := c.cut(len(changes))
	for i, ch := range changes {
		switch {
		case c.mode == RandomSectors && ch.data != nil:
			c.sectors(ch, &g.live)
		case c.survives(i, keep):
			ch.apply(&g.live)
		case i == keep && c.mode >= TornLast && ch.data != nil:
			c.torn(ch, &g.live)
		}
	}
	g.durable = g.live.share()
}

// sectors keeps each sector of a write or not.
func (c *crash) sectors(ch change, to *content) {
	for at := ch.off; at < ch.end(); {
		next := min(ch.end(), at/sectorSize*sectorSize+sectorSize)
		if c.rnd.IntN(2) == 0 {
			to.writeAt(ch.data[at-ch.off:next-ch.off], at)
		}
		at = next
	}
}

// torn keeps the beginning of a write, up to the end of a sector.
func (c *crash) torn(ch change, to *content) {
	sectors := (ch.end() + sectorSize - 1) / sectorSize
	first := ch.off / sectorSize
	at := max(ch.off, (first+c.rnd.Int64N(sectors-first))*sectorSize)
	to.writeAt(ch.data[:at-ch.off], ch.off)
	rest := make([]byte, ch.end()-at)
	switch c.mode {
	case ZeroTail:
		to.writeAt(rest, at)
	case GarbageTail:
		for i := range rest {
			rest[i] = byte(c.rnd.Uint32())
		}
		to.writeAt(rest, at)
	}
}
