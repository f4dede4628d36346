package faultfs

import "maps"

// node is a file or a directory; it lives as long as a name or a handle does.
type node struct {
	dir bool

	// Of a file.
	live     content
	durable  content
	pending  []change // since the last sync, in order
	lost     []change // dropped by a failed sync: may or may not be on disk
	reserved int64    // space given by Allocate
	failures int      // syncs that failed
	failure  error    // of the last one of them

	// Of a directory.
	names        map[string]*node
	durableNames map[string]*node
	moves        []move // since the last SyncDir, in order
}

// change is a write, or a change of size where data is nil.
type change struct {
	off  int64 // or the new size
	data []byte
}

func (ch change) end() int64 { return ch.off + int64(len(ch.data)) }

func (ch change) apply(c *content) {
	if ch.data == nil {
		c.truncate(ch.off)
		return
	}
	c.writeAt(ch.data, ch.off)
}

// move is one change of a directory, whole or not at all: a nil node removes.
type move map[string]*node

func newDir() *node {
	return &node{dir: true, names: map[string]*node{}, durableNames: map[string]*node{}}
}

func (n *node) change(m move) {
	applyMove(n.names, m)
	n.moves = append(n.moves, m)
}

func (n *node) syncNames() {
	n.durableNames = maps.Clone(n.names)
	n.moves = nil
}

func applyMove(names map[string]*node, m move) {
	for name, to := range m {
		if to == nil {
			delete(names, name)
		} else {
			names[name] = to
		}
	}
}

func (n *node) write(p []byte, off int64) {
	n.live.writeAt(p, off)
	n.pending = append(n.pending, change{off, append(make([]byte, 0, len(p)), p...)})
}

func (n *node) resize(size int64) {
	n.live.truncate(size)
	n.reserved = min(n.reserved, size)
	n.pending = append(n.pending, change{off: size})
}

// sync moves dirty pages to the durable content, whole as a page cache does.
func (n *node) sync() {
	n.forgetOverwritten()
	for len(n.durable.pages) < len(n.live.pages) {
		n.durable.pages = append(n.durable.pages, nil)
	}
	for _, ch := range n.pending {
		if ch.data == nil {
			n.durable.truncate(ch.off)
		}
	}
	for i := range n.live.owned {
		for len(n.durable.pages) <= i {
			n.durable.pages = append(n.durable.pages, nil)
		}
		n.durable.pages[i] = n.live.pages[i]
	}
	n.durable.owned = nil
	n.live.owned = nil
	n.durable.size = n.live.size
	n.pending = nil
}

// failSync makes pages clean that were never written.
func (n *node) failSync(why error) {
	n.failures++
	n.failure = why
	n.live.owned = nil
	n.lost = append(n.lost, n.pending...)
	n.pending = nil
}

// forgetOverwritten drops lost writes that a newer one is about to replace.
func (n *node) forgetOverwritten() {
	kept := n.lost[:0]
	for _, l := range n.lost {
		over := l.data == nil
		for _, p := range n.pending {
			over = over || p.data == nil || p.off < l.end() && l.off < p.end()
		}
		if !over {
			kept = append(kept, l)
		}
	}
	n.lost = kept
}

func (n *node) usage() int64 {
	size := max(n.live.size, n.reserved)
	return (size + pageSize - 1) / pageSize * pageSize
}
