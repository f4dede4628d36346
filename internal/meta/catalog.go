package meta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/weirmq/weir/internal/record"
)

// Errors of the catalog.
var (
	ErrExists = errors.New("a stream of that name exists")
	ErrDead   = errors.New("the server's log has failed and takes nothing until a restart")
)

// Proposer puts entries into group 0. Calls come one at a time. value comes back
// with the entry.
type Proposer interface {
	Propose(kind record.Kind, urgent bool, value any, parts ...[]byte)
}

// Watcher is told of streams, in the order of the entries, on the group's
// goroutine. It must not block.
type Watcher interface {
	Created(s Spec, value any)
	Dropped(s Spec)
	// Reconfigured says that the stream is opened with another configuration from
	// now on.
	Reconfigured(s Spec)
}

// Catalog knows the streams.
type Catalog struct {
	// Set by Start.
	proposer Proposer
	watcher  Watcher

	mu sync.Mutex
	// Guarded by mu.
	streams  map[uint64]Spec
	names    map[key]bool // of streams and of those being created
	next     uint64       // identity of the next stream
	index    uint64       // of the last applied entry
	restored uint64
	queue    []proposal
	draining bool
	waiting  map[*op]bool
	dead     error
}

type key struct{ account, name string }

type proposal struct {
	kind record.Kind
	data []byte
	op   *op
}

// op is a change that somebody waits for.
type op struct {
	spec  *Spec // of the stream that it creates: one copy of it is enough; nil: none
	value any
	done  chan error
}

// NewCatalog returns an empty catalog.
func NewCatalog() *Catalog {
	return &Catalog{streams: map[uint64]Spec{}, names: map[key]bool{}, next: FirstID, waiting: map[*op]bool{}}
}

// Start gives the catalog its group and its watcher, once, before any entry.
func (c *Catalog) Start(p Proposer, w Watcher) { c.proposer, c.watcher = p, w }

// NextID reserves an identity for a stream to be created.
func (c *Catalog) NextID() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.next
	c.next++
	return id
}

// Create makes a stream durable. value goes to the Watcher with it. When ctx ends
// first the outcome is unknown.
func (c *Catalog) Create(ctx context.Context, s Spec, value any) error {
	k := key{s.Account, s.Name}
	c.mu.Lock()
	switch {
	case c.dead != nil:
		c.mu.Unlock()
		return c.dead
	case c.names[k]:
		c.mu.Unlock()
		return ErrExists
	}
	c.names[k] = true
	o := c.queueLocked(record.KindStreamCreate, encode(&s), value)
	o.spec = &s
	c.mu.Unlock()
	c.drain()
	return o.wait(ctx)
}

// Drop deletes a stream for good.
func (c *Catalog) Drop(ctx context.Context, id uint64) error {
	c.mu.Lock()
	if c.dead != nil {
		c.mu.Unlock()
		return c.dead
	}
	o := c.queueLocked(record.KindStreamDrop, encode(id), nil)
	c.mu.Unlock()
	c.drain()
	return o.wait(ctx)
}

// Reconfigure replaces the configuration that a stream is opened with. It is for
// streams whose own log does not outlive the process.
func (c *Catalog) Reconfigure(ctx context.Context, id uint64, config json.RawMessage) error {
	c.mu.Lock()
	if c.dead != nil {
		c.mu.Unlock()
		return c.dead
	}
	o := c.queueLocked(record.KindStreamConfig, encode(&reconfiguration{id, config}), nil)
	c.mu.Unlock()
	c.drain()
	return o.wait(ctx)
}

// Stream returns the stream of an identity.
func (c *Catalog) Stream(id uint64) (Spec, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.streams[id]
	return s, ok
}

// Dropped says whether an identity was given to a stream that is no more. It is
// false for those that the catalog never heard of.
func (c *Catalog) Dropped(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, there := c.streams[id]
	return !there && id >= FirstID && id < c.next
}

func (c *Catalog) queueLocked(kind record.Kind, data []byte, value any) *op {
	o := &op{value: value, done: make(chan error, 1)}
	c.queue = append(c.queue, proposal{kind, data, o})
	c.waiting[o] = true
	return o
}

func (o *op) wait(ctx context.Context) error {
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain proposes what is queued, unless another goroutine does so already.
func (c *Catalog) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return
	}
	c.draining = true
	for len(c.queue) > 0 {
		p := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		c.proposer.Propose(p.kind, true, p.op, p.data)
		c.mu.Lock()
	}
	c.draining = false
}

// Apply makes a committed entry take effect. Those that the restored snapshot
// covers are passed over.
func (c *Catalog) Apply(index uint64, kind record.Kind, data []byte, value any) error {
	if index <= c.restored {
		return nil
	}
	o, _ := value.(*op)
	err := c.applyKind(kind, data, o)
	c.mu.Lock()
	c.index = index
	delete(c.waiting, o)
	c.mu.Unlock()
	if o != nil {
		o.done <- err
	}
	return err
}

func (c *Catalog) applyKind(kind record.Kind, data []byte, o *op) error {
	switch kind {
	case record.KindStreamCreate:
		s, v, err := created(data, o)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.addLocked(s)
		c.mu.Unlock()
		c.watcher.Created(s, v)
	case record.KindStreamDrop:
		var id uint64
		if err := json.Unmarshal(data, &id); err != nil {
			return fmt.Errorf("stream drop: %w: %w", record.ErrDamaged, err)
		}
		c.mu.Lock()
		s, ok := c.streams[id]
		delete(c.streams, id)
		delete(c.names, key{s.Account, s.Name})
		c.mu.Unlock()
		if ok {
			c.watcher.Dropped(s)
		}
	case record.KindStreamConfig:
		r, err := decodeReconfiguration(data)
		if err != nil {
			return err
		}
		c.mu.Lock()
		s, ok := c.streams[r.ID]
		if ok {
			s.Config = r.Config
			c.streams[r.ID] = s
		}
		c.mu.Unlock()
		if ok {
			c.watcher.Reconfigured(s)
		}
	default:
		return fmt.Errorf("entry of kind %d in group 0: %w", kind, record.ErrDamaged)
	}
	return nil
}

// created gives the stream that an entry creates, and the value of who created it.
func created(data []byte, o *op) (Spec, any, error) {
	if o != nil {
		return *o.spec, o.value, nil
	}
	s, err := decodeSpec(data)
	return s, nil, err
}

func (c *Catalog) addLocked(s Spec) {
	c.streams[s.ID] = s
	c.names[key{s.Account, s.Name}] = true
	c.next = max(c.next, s.ID+1)
}

// Failed ends the catalog: what waits is told that its outcome is unknown.
func (c *Catalog) Failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead == nil {
		c.dead = errors.Join(ErrDead, err)
	}
	for o := range c.waiting {
		o.done <- c.dead
	}
	clear(c.waiting)
}

// Streams returns all streams by identity.
func (c *Catalog) Streams() []Spec {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streamsLocked()
}

func (c *Catalog) streamsLocked() []Spec {
	out := make([]Spec, 0, len(c.streams))
	for _, s := range c.streams {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Spec) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

// snapshot is the catalog at an index.
type snapshot struct {
	Version int    `json:"version"`
	Index   uint64 `json:"index"`
	Next    uint64 `json:"next"`
	Streams []Spec `json:"streams"`
}

const snapshotVersion = 1

// Snapshot returns the catalog's state and the index that it is of.
func (c *Catalog) Snapshot() (uint64, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.index, encode(&snapshot{snapshotVersion, c.index, c.next, c.streamsLocked()})
}

// Restore puts a snapshot in force and tells the watcher of its streams. It comes
// before any entry.
func (c *Catalog) Restore(b []byte) error {
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("catalog: %w: %w", record.ErrDamaged, err)
	}
	if s.Version != snapshotVersion {
		return fmt.Errorf("catalog of version %d: this server reads %d", s.Version, snapshotVersion)
	}
	c.mu.Lock()
	for _, sp := range s.Streams {
		c.addLocked(sp)
	}
	c.next = max(c.next, s.Next)
	c.index, c.restored = s.Index, s.Index
	c.mu.Unlock()
	for _, sp := range s.Streams {
		c.watcher.Created(sp, nil)
	}
	return nil
}
