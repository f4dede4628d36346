package store

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

// tree is a B+tree file of bbolt. Integers are little-endian, as on the processors that
// servers run on. A page has an id (8 bytes), flags, a count (2 each), how many pages more
// it is long (4), and then elements.
type tree struct {
	b       []byte
	page    uint64 // size of a page, bytes
	root    uint64
	visited map[uint64]bool
	depth   int
}

const (
	treeMagic   = 0xED0CDAED
	treeVersion = 2
	pageHead    = 16
	metaSize    = 64

	pageBranch = 1
	pageLeaf   = 2
	leafBucket = 1 // an element of a leaf that is a bucket

	smallestPage = 512
	largestPage  = 64 << 10
	deepest      = 64 // pages from the root to a leaf
)

// openTree finds the newer one of the two descriptions that the file begins with.
func openTree(b []byte) (*tree, error) {
	var found *tree
	var newest uint64
	for size := uint64(smallestPage); size <= largestPage; size *= 2 {
		for _, at := range [...]uint64{0, size} {
			if t, tx := treeAt(b, at); t != nil && t.page == size && (found == nil || tx > newest) {
				found, newest = t, tx
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: it is no file of bbolt", ErrDamaged)
	}
	return found, nil
}

// treeAt reads the description of a tree in the page at a place, and of which transaction
// it is; nil where it is none.
func treeAt(b []byte, at uint64) (*tree, uint64) {
	if at+pageHead+metaSize > uint64(len(b)) {
		return nil, 0
	}
	m := b[at+pageHead:][:metaSize]
	sum := fnv.New64a()
	sum.Write(m[:56])
	if binary.LittleEndian.Uint32(m) != treeMagic || binary.LittleEndian.Uint32(m[4:]) != treeVersion || binary.LittleEndian.Uint64(m[56:]) != sum.Sum64() {
		return nil, 0
	}
	t := &tree{b: b, page: uint64(binary.LittleEndian.Uint32(m[8:])), root: binary.LittleEndian.Uint64(m[16:]), visited: map[uint64]bool{}}
	return t, binary.LittleEndian.Uint64(m[48:])
}

var errTree = fmt.Errorf("%w: the tree's pages do not fit together", ErrDamaged)

// at gives a page with all that belongs to it. No page is given twice.
func (t *tree) at(id uint64) ([]byte, error) {
	n := uint64(len(t.b)) / t.page
	if id >= n || t.visited[id] {
		return nil, errTree
	}
	t.visited[id] = true
	more := uint64(binary.LittleEndian.Uint32(t.b[id*t.page+12:]))
	if more >= n-id {
		return nil, errTree
	}
	return t.b[id*t.page : (id+more+1)*t.page], nil
}

// element is one of a page's. For a branch only child is there.
type element struct {
	key, value []byte
	flags      uint32
	child      uint64
}

// elements gives those of a page in order.
func elements(page []byte, each func(element) error) error {
	if len(page) < pageHead {
		return errTree
	}
	flags, count := binary.LittleEndian.Uint16(page[8:]), int(binary.LittleEndian.Uint16(page[10:]))
	if flags&(pageBranch|pageLeaf) == 0 || pageHead+16*count > len(page) {
		return errTree
	}
	for i := range count {
		at := page[pageHead+16*i:]
		u32 := func(n int) uint64 { return uint64(binary.LittleEndian.Uint32(at[n:])) }
		e := element{child: binary.LittleEndian.Uint64(at[8:])}
		if flags&pageLeaf != 0 {
			pos, k, v := u32(4), u32(8), u32(12)
			if pos+k+v > uint64(len(at)) {
				return errTree
			}
			e = element{key: at[pos : pos+k], value: at[pos+k : pos+k+v], flags: uint32(u32(0))}
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// walk gives the leaves' elements below a page, in the order of their keys.
func (t *tree) walk(id uint64, each func(element) error) error {
	page, err := t.at(id)
	if err != nil {
		return err
	}
	if t.depth++; t.depth > deepest {
		return errTree
	}
	defer func() { t.depth-- }()
	return t.below(page, each)
}

func (t *tree) below(page []byte, each func(element) error) error {
	if len(page) >= pageHead && binary.LittleEndian.Uint16(page[8:])&pageBranch != 0 {
		return elements(page, func(e element) error { return t.walk(e.child, each) })
	}
	return elements(page, each)
}

// bucket gives the elements of the bucket of a name; none where there is no such bucket.
func (t *tree) bucket(name string, each func(element) error) error {
	return t.walk(t.root, func(e element) error {
		switch {
		case e.flags&leafBucket == 0 || string(e.key) != name:
			return nil
		case len(e.value) < 16:
			return errTree
		}
		if root := binary.LittleEndian.Uint64(e.value); root != 0 {
			return t.walk(root, each)
		}
		return t.below(e.value[16:], each) // a small one stands where its root would
	})
}
