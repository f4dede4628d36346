package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
	"github.com/weirmq/weir/internal/timewheel"
)

// A copier copies one origin of a stream, a mirror's or a source's. It belongs to
// the shard of the stream that it copies to and reads the origin's log there.
//
// A mirror writes frames that keep sequences and times: it goes on behind its own
// last record, whatever happens. A source's records are admitted as any others are,
// one batch at a time; how far it is stands in their attributes.

// Bounds of what a copier hands to the log at once, of how many batches of a mirror
// are under way, and of how many records it looks at before others have their turn.
const (
	copyBytes   = 256 << 10
	copyRecords = 4 << 10
	copyAhead   = 4
	copyScan    = 16 << 10
)

// Waits before something is tried again; each is twice the one before it.
const (
	retryFirst = int64(100 * time.Millisecond)
	retryLast  = int64(10 * time.Second)
	retryFull  = int64(time.Second)
)

type copier struct {
	// Set at construction.
	stream     *Stream
	config     Origin
	key        originKey
	mirror     bool
	transforms []*subject.Transform

	// Atomic.
	woken  atomic.Bool            // an event is in the shard's box
	next   atomic.Uint64          // the origin's first sequence that is not copied
	active atomic.Int64           // when the origin was heard last, Unix ns; 0: never
	trial  atomic.Pointer[trial]  // why it does not copy; nil: it does
	origin atomic.Pointer[Stream] // nil: not found yet
	behind atomic.Uint64          // of a feed: what the origin has and did not send yet

	// Only the shard's goroutine.
	timer    timewheel.Timer[timed]
	ready    bool // what was under way at the start has taken effect
	stopped  bool
	dirty    bool
	blocked  bool // the timer says when to go on
	wait     int64
	reader   *partition.Reader
	unasked  bool // how far the copy is can not be told to the origin
	fed      fed  // of an origin that only messages reach
	inFlight int
	size     int // of the next area: what the last one needed
}

// trial is why a copier does not copy.
type trial struct{ err error }

// OriginInfo describes a copy.
type OriginInfo struct {
	Origin Origin
	// Lag is how many of the origin's records are not copied yet. Where subjects are
	// filtered those that will not be count, too, while there are some to look at.
	Lag uint64
	// Active is when the origin was heard last, Unix ns; 0: never. One of this server is
	// heard at any time.
	Active int64
	// Err is why nothing is copied at present; nil: it is.
	Err error
}

// Origins describes the stream's copies in the order of the configuration.
func (s *Stream) Origins() []OriginInfo {
	var out []OriginInfo
	var copies []*copier
	if p := s.copies.Load(); p != nil {
		copies = *p
	}
	for _, o := range s.Config().origins() {
		i := OriginInfo{Origin: o}
		at := slices.IndexFunc(copies, func(c *copier) bool { return c.config.Key == o.Key })
		if at >= 0 {
			copies[at].describe(&i)
		}
		out = append(out, i)
	}
	return out
}

func (c *copier) describe(i *OriginInfo) {
	i.Active = c.active.Load()
	if t := c.trial.Load(); t != nil {
		i.Err = t.err
	}
	if o := c.origin.Load(); o != nil && !o.dropped.Load() {
		i.Lag = o.part.CountLive(c.next.Load(), o.part.Committed())
		i.Active = time.Now().UnixNano()
	} else if c.config.remote() {
		i.Lag = c.behind.Load()
	}
}

// follow has the stream's copiers started and ended as the configuration says.
func (s *Stream) follow() {
	if s.copies.Load() == nil && len(s.Config().origins()) == 0 {
		return
	}
	s.shard.post(event{kind: evCall, call: func(int64) { s.shard.follow(s) }})
}

// haltCopies ends all copying until follow is called.
func (s *Stream) haltCopies(ctx context.Context) error {
	w := newWaiter()
	s.shard.post(event{kind: evCall, call: func(int64) {
		s.shard.follow(s)
		w.finish()
	}})
	return w.wait(ctx)
}

// promoted follows an attempt to make a mirror a stream like any other. Nothing may
// come behind the entry that does so but what is published.
func (s *Stream) promoted() {
	s.promoting.Store(false)
	s.follow()
}

func (sh *Shard) follow(s *Stream) {
	var want []Origin
	if !s.closed.Load() && !s.dropped.Load() && !s.promoting.Load() {
		want = s.Config().origins()
	}
	mirror := s.Config().Mirror != nil
	var have []*copier
	if p := s.copies.Load(); p != nil {
		have = *p
	}
	var next []*copier
	for _, c := range have {
		if slices.ContainsFunc(want, c.serves) && c.mirror == mirror {
			next = append(next, c)
		} else {
			sh.unfollow(c)
		}
	}
	for i := range want {
		if !slices.ContainsFunc(next, func(c *copier) bool { return c.serves(want[i]) }) {
			if c := sh.newCopier(s, &want[i], mirror); c != nil {
				next = append(next, c)
			}
		}
	}
	s.copies.Store(&next)
}

// serves says whether the copier is one for o. Where it begins may have changed.
func (c *copier) serves(o Origin) bool { return c.config.Key == o.Key }

func (sh *Shard) newCopier(s *Stream, o *Origin, mirror bool) *copier {
	t, err := o.transforms()
	if err != nil {
		sh.log.Error("stream not copied", "stream", s.Name(), "account", s.Account(), "origin", o.Stream, "error", err)
		return nil
	}
	c := &copier{stream: s, config: *o, key: o.key(), mirror: mirror, transforms: t, wait: retryFirst, size: firstArea}
	c.timer.Item = c
	// Another copier of the same origin may have something under way.
	err = s.part.Barrier(func(err error) {
		if err == nil {
			sh.post(event{kind: evCall, call: func(int64) {
				c.ready = true
				sh.touchCopy(c)
			}})
		}
	})
	if err != nil {
		sh.log.Warn("stream not copied", "stream", s.Name(), "account", s.Account(), "origin", o.Stream, "error", err)
	}
	return c
}

// unfollow ends a copier. What it has under way is not taken back.
func (sh *Shard) unfollow(c *copier) {
	c.stopped = true
	c.stream.dir.setSeeking(c, false)
	sh.wheel.Clear(&c.timer)
	c.leave()
}

// leave ends the reading of the origin.
func (c *copier) leave() {
	c.closeFeed()
	if c.reader != nil {
		c.reader.Close()
		c.reader = nil
	}
	if o := c.origin.Swap(nil); o != nil {
		o.changeFollowers(func(f []*copier) []*copier {
			return slices.DeleteFunc(f, func(x *copier) bool { return x == c })
		})
	}
}

// changeFollowers replaces the list of the copiers that read the stream.
func (s *Stream) changeFollowers(f func([]*copier) []*copier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*copier
	if p := s.followers.Load(); p != nil {
		list = slices.Clone(*p)
	}
	if list = f(list); len(list) == 0 {
		s.followers.Store(nil)
		return
	}
	s.followers.Store(&list)
}

// tellFollowers wakes who copies the stream.
func (s *Stream) tellFollowers() {
	p := s.followers.Load()
	if p == nil {
		return
	}
	for _, c := range *p {
		if !c.woken.Swap(true) {
			c.stream.shard.post(event{kind: evCopy, copier: c})
		}
	}
}

// seek has all copiers that wait for a stream look for it at once.
func (d *Directory) seek(s *Stream) {
	d.mu.Lock()
	var waiting []*copier
	for c := range d.seeking {
		if c.config.Stream == s.Name() && c.stream.Account() == s.Account() {
			waiting = append(waiting, c)
		}
	}
	d.mu.Unlock()
	for _, c := range waiting {
		c.stream.shard.post(event{kind: evCall, call: func(int64) {
			c.blocked = false
			c.stream.shard.touchCopy(c)
		}})
	}
}

func (d *Directory) setSeeking(c *copier, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if on {
		d.seeking[c] = struct{}{}
	} else {
		delete(d.seeking, c)
	}
}

// touchCopy has the copier stepped in this turn.
func (sh *Shard) touchCopy(c *copier) {
	if !c.dirty && c.ready && !c.stopped {
		c.dirty = true
		sh.copying = append(sh.copying, c)
	}
}

// retry notes why the copier cannot go on, and when it tries again.
func (sh *Shard) retry(c *copier, err error, now int64) {
	if t := c.trial.Load(); t == nil || t.err.Error() != err.Error() {
		sh.log.Warn("stream not copied", "stream", c.stream.Name(), "account", c.stream.Account(), "origin", c.config.Stream, "error", err)
		c.trial.Store(&trial{err})
	}
	c.blocked = true
	sh.wheel.Set(&c.timer, now+c.wait)
	c.wait = min(2*c.wait, retryLast)
}

// ahead is how many batches of a copier may be on their way into the log.
func (c *copier) ahead() int {
	if c.mirror {
		return copyAhead
	}
	return 1
}

// holdCopy says whether the copier's stream has too much on its way, and looks again
// in a moment then.
func (sh *Shard) holdCopy(c *copier, now int64) bool {
	if !c.stream.overloaded() {
		return false
	}
	c.blocked = true
	sh.wheel.Set(&c.timer, now+int64(10*time.Millisecond))
	return true
}

// copyOn lets a copier copy some of what is there.
func (sh *Shard) copyOn(c *copier, now int64) {
	c.dirty = false
	if c.stopped || c.blocked || c.stream.closed.Load() {
		return
	}
	if c.config.remote() {
		sh.copyFed(c, now)
		return
	}
	if o := c.origin.Load(); o != nil && o.dropped.Load() {
		if c.inFlight > 0 {
			return // its end comes back here
		}
		c.active.Store(now)
		c.leave()
	}
	if c.origin.Load() == nil && !sh.find(c, now) {
		return
	}
	if c.inFlight >= c.ahead() || sh.holdCopy(c, now) {
		return
	}
	b := &copyBatch{}
	more, err := c.gather(b)
	if err != nil {
		sh.retry(c, fmt.Errorf("read the origin: %w", err), now)
	}
	if b.area.Len() == 0 {
		if more {
			sh.touchCopy(c)
			return
		}
		if c.inFlight == 0 {
			c.next.Store(c.reader.Position())
		}
		if err == nil {
			c.recovered()
		}
		return
	}
	c.size = nextArea(c.size, len(b.area.Buf))
	if c.mirror {
		sh.copyPlaced(c, b, now)
	} else {
		sh.copyAdmitted(c, b, now)
	}
	if more {
		sh.touchCopy(c)
	}
}

// recovered notes that nothing keeps the copier from copying.
func (c *copier) recovered() {
	c.wait = retryFirst
	if c.trial.Load() != nil {
		c.trial.Store(nil)
	}
}

// copyBatch is what was read of an origin at once.
type copyBatch struct {
	area   record.Area
	conds  []partition.Conditions
	places []record.Place // of the origin
}

// gather reads records. It says whether there may be more.
func (c *copier) gather(b *copyBatch) (more bool, err error) {
	r := c.reader
	for range copyScan {
		if r.Skip() {
			return true, nil
		}
		at := r.Position()
		v, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case errors.Is(err, record.ErrDamaged):
			c.stream.dir.log.Error("record not copied", "stream", c.stream.Name(), "account", c.stream.Account(), "origin", c.config.Stream, "error", err)
			continue
		case err != nil:
			r.Seek(at)
			return false, err
		}
		if c.config.StartTime > 0 && c.config.StartSeq == 0 && v.Time < c.config.StartTime {
			continue
		}
		c.stage(b, &v)
		if len(b.area.Buf) >= copyBytes || b.area.Len() >= copyRecords {
			return true, nil
		}
	}
	return true, nil
}

// stage adds the copy of a record, unless its subject is not one of those to copy.
func (c *copier) stage(b *copyBatch, v *record.View) {
	from := v.Subject
	if len(c.transforms) > 0 {
		var mapped []byte
		ok := false
		for _, t := range c.transforms {
			if mapped, ok = t.Append(nil, string(from), uint32(v.Seq)); ok {
				break
			}
		}
		if !ok {
			return
		}
		v.Subject = mapped
	}
	v.Subject = c.stream.mapped(nil, v.Subject)
	var cond partition.Conditions
	parts := c.stream.dialect.Copied(c.stream, &c.config, v, from, &cond)
	if b.area.Buf == nil {
		b.area.Buf = record.NewArea(c.size)
	}
	if !c.mirror {
		p := progress{origin: c.originID(), seq: v.Seq, time: v.Time}
		parts.Attrs = p.append(nil, c.key)
		parts.ID, parts.HasID = cond.ID, cond.HasID
		b.conds = append(b.conds, cond)
	}
	b.area.Append(&parts)
	b.places = append(b.places, record.Place{Seq: v.Seq, Time: v.Time})
}
