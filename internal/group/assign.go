package group

import (
	"maps"
	"slices"
)

// Partitions are those of one stream that a member reads, in rising order.
type Partitions = []int32

// deal gives each partition of a stream to the subscribed member that has the
// fewest of all streams, of those to the one whose name is the least.
func (g *state) deal(stream string, count int) {
	for _, m := range g.Members {
		delete(m.Assigned, stream)
	}
	members := g.subscribers(stream)
	if len(members) == 0 {
		return
	}
	for p := range int32(count) {
		best := members[0]
		for _, m := range members[1:] {
			if m.load() < best.load() {
				best = m
			}
		}
		best.Assigned[stream] = append(best.Assigned[stream], p)
	}
}

// subscribers are the members of a stream by name.
func (g *state) subscribers(stream string) []*Member {
	var out []*Member
	for _, name := range slices.Sorted(maps.Keys(g.Members)) {
		if m := g.Members[name]; slices.Contains(m.Streams, stream) {
			out = append(out, m)
		}
	}
	return out
}

func (m *Member) load() int {
	n := 0
	for _, p := range m.Assigned {
		n += len(p)
	}
	return n
}

// dealAll deals streams anew, one after the other in the order of their names.
func (c *Coordinator) dealAll(g *state, streams []string) {
	streams = slices.Clone(streams)
	slices.Sort(streams)
	for _, s := range slices.Compact(streams) {
		if n, ok := c.count(g.key.Account, s); ok {
			g.deal(s, n)
		}
	}
}
