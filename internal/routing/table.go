package routing

import (
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/subject"
)

// Table holds values by pattern and queue name. All methods may be called at the
// same time. New makes one; the zero value is not usable.
type Table[T comparable] struct {
	generation atomic.Uint64

	none [2]*Result[T] // set at construction; index 1: LastTokenFree

	mu     sync.RWMutex
	root   level[T] // guarded by mu
	count  int      // values held, guarded by mu
	serial uint64   // number of the newest value, guarded by mu
}

// New gives an empty table.
func New[T comparable]() *Table[T] {
	return &Table[T]{none: [2]*Result[T]{{}, {LastTokenFree: true}}}
}

// Add puts v under pattern, which must be valid, as a member of queue, or as a
// plain value where queue is empty. A value is held once for each pattern and
// queue: adding it again changes nothing.
func (t *Table[T]) Add(pattern, queue string, v T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leafFor(pattern).add(queue, member[T]{v, t.serial + 1}) {
		return
	}
	t.serial++
	t.count++
	t.generation.Add(1)
}

// Remove takes v from pattern and queue. It says whether it was there.
func (t *Table[T]) Remove(pattern, queue string, v T) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var room [32]step[T]
	path := t.trace(room[:0], pattern)
	if path == nil {
		return false
	}
	n := path[len(path)-1].node
	if n.leaf == nil || !n.leaf.remove(queue, v) {
		return false
	}
	if n.leaf.empty() {
		n.leaf = nil
		prune(path)
	}
	t.count--
	t.generation.Add(1)
	return true
}

// Generation gives a number that changes with every Add and Remove that changes
// something, once Match can see the change. Load it before Match, not after.
func (t *Table[T]) Generation() uint64 {
	return t.generation.Load()
}

// Len gives the number of values held.
func (t *Table[T]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count
}

// leafFor gives the leaf of pattern. It makes the way there if need be, so the
// caller must put something into it.
func (t *Table[T]) leafFor(pattern string) *leaf[T] {
	at := &t.root
	for {
		token, rest, last := subject.Cut(pattern)
		n := at.child(token)
		if n == nil {
			n = &node[T]{}
			at.insert(token, n)
		}
		if last {
			if n.leaf == nil {
				n.leaf = &leaf[T]{}
				at.count(token, +1)
			}
			return n.leaf
		}
		if n.level == nil {
			n.level = &level[T]{}
		}
		at, pattern = n.level, rest
	}
}

// step is one token on the way to a node.
type step[T comparable] struct {
	at    *level[T]
	token string
	node  *node[T] // the child of at for token
}

// trace appends the way to pattern's node to path, or gives nil where there is no
// such node.
func (t *Table[T]) trace(path []step[T], pattern string) []step[T] {
	at := &t.root
	for at != nil {
		token, rest, last := subject.Cut(pattern)
		n := at.child(token)
		if n == nil {
			return nil
		}
		path = append(path, step[T]{at, token, n})
		if last {
			return path
		}
		at, pattern = n.level, rest
	}
	return nil
}

// prune removes, from the end of path, the nodes that hold nothing any more. The
// leaf of the last one has just been dropped.
func prune[T comparable](path []step[T]) {
	end := path[len(path)-1]
	end.at.count(end.token, -1)
	for i := len(path) - 1; i >= 0; i-- {
		s := path[i]
		if s.node.leaf != nil || s.node.level != nil {
			return
		}
		s.at.remove(s.token)
		if i > 0 && s.at.empty() {
			path[i-1].node.level = nil
		}
	}
}
