package subjects

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// Cache keeps blocks and block indexes of runs in memory, the most recently used
// ones, up to a number of bytes. One cache is shared by all sets of a process.
// It is safe for concurrent use.
type Cache struct {
	max  int64
	sets atomic.Uint64

	mu   sync.Mutex
	by   map[runKey]map[int64]*list.Element // of *page, by offset; guarded by mu
	used list.List                          // the last used one in front; guarded by mu
	size int64                              // guarded by mu
}

// runKey names a run of a set.
type runKey struct{ set, run uint64 }

// pageKey names a block by its offset, a block index by offset 0.
type pageKey struct {
	runKey
	off int64
}

type page struct {
	key  pageKey
	data any // []byte or *blockIndex
	size int64
}

// pageOverhead is what a page costs beside its data.
const pageOverhead = 200

// NewCache makes a cache of at most max bytes. What is larger than all of it is
// read each time.
func NewCache(max int64) *Cache {
	return &Cache{max: max, by: map[runKey]map[int64]*list.Element{}}
}

// Size is the memory in use, in bytes.
func (c *Cache) Size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

func (c *Cache) get(k pageKey) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.by[k.runKey][k.off]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*page).data
}

func (c *Cache) put(k pageKey, data any, size int64) {
	size += pageOverhead
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.max || c.by[k.runKey][k.off] != nil {
		return
	}
	if c.by[k.runKey] == nil {
		c.by[k.runKey] = map[int64]*list.Element{}
	}
	c.by[k.runKey][k.off] = c.used.PushFront(&page{k, data, size})
	c.size += size
	for c.size > c.max {
		c.dropLocked(c.used.Back())
	}
}

// forget drops the pages of a run that is gone.
func (c *Cache) forget(k runKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.by[k] {
		c.dropLocked(e)
	}
}

func (c *Cache) dropLocked(e *list.Element) {
	p := c.used.Remove(e).(*page)
	c.size -= p.size
	pages := c.by[p.key.runKey]
	delete(pages, p.key.off)
	if len(pages) == 0 {
		delete(c.by, p.key.runKey)
	}
}
