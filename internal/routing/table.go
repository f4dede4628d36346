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
	end := path[len(path)-1]
	n := end.at.child(end.token)
	if n.leaf == nil || !n.leaf.remove(queue, v) {
		return false
	}
	if n.leaf.empty() {
		n.leaf = nil
		prune(path, n)
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

// Values gives all values, in no order; one that was added under several patterns or
// queues stands there as often.
func (t *Table[T]) Values() []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	values := make([]T, 0, t.count)
	t.root.each(func(n node[T]) {
		if n.leaf == nil {
			return
		}
		values = append(values, n.leaf.plain.values()...)
		for i := range n.leaf.queues {
			values = append(values, n.leaf.queues[i].members.values()...)
		}
	})
	return values
}

// leafFor gives the leaf of pattern. It makes the way there if need be, so the
// caller must put something into it.
func (t *Table[T]) leafFor(pattern string) *leaf[T] {
	at := &t.root
	for {
		token, rest, last := subject.Cut(pattern)
		n := at.child(token)
		if last {
			if n.leaf == nil {
				n.leaf = &leaf[T]{}
				at.set(token, n)
			}
			return n.leaf
		}
		if n.level == nil {
			n.level = &level[T]{}
			at.set(token, n)
		}
		at, pattern = n.level, rest
	}
}

// step is one token on the way to a node.
type step[T comparable] struct {
	at    *level[T]
	token string
}

// trace appends the way to pattern's node to path, or gives nil where there is no
// such node.
func (t *Table[T]) trace(path []step[T], pattern string) []step[T] {
	at := &t.root
	for at != nil {
		token, rest, last := subject.Cut(pattern)
		path = append(path, step[T]{at, token})
		if last {
			return path
		}
		at, pattern = at.child(token).level, rest
	}
	return nil
}

// prune makes n, which has lost its leaf, the node at the end of path, and takes
// away the nodes on the path that are of no use any more.
func prune[T comparable](path []step[T], n node[T]) {
	for i := len(path) - 1; i >= 0; i-- {
		path[i].at.set(path[i].token, n)
		if i == 0 || !path[i].at.empty() {
			return
		}
		n = path[i-1].at.child(path[i-1].token)
		n.level = nil
	}
}
