package stream

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/weirmq/weir/internal/partition"
)

// Errors of feeds.
var (
	ErrFeedGap    = errors.New("records of the origin got lost on their way")
	ErrFeedSilent = errors.New("the origin is silent")
	errUnasked    = errors.New("nobody takes the answer")
)

// feedPatience is how long nothing may come of a feed: it beats every second.
const feedPatience = int64(8 * time.Second)

// remoteOrigin stands for the number of a stream that is not on this server.
const remoteOrigin = math.MaxUint64

// fed is what a copier keeps of an origin that only messages reach. It belongs to the
// shard's goroutine.
type fed struct {
	feed   Feed
	number int // of the feed: what others bring is late
	queue  []FeedItem
	heard  int64  // when something came last
	last   uint64 // consumer sequence of the last record; 0: none came yet
	next   uint64 // the origin's sequence behind the last record
	seq    uint64 // of the last record
	bytes  int    // of the queue
	full   bool   // it is closed, as the queue was too long
}

// feedQueue bounds the bytes of a feed that wait to be copied. An origin that asks
// before it sends on never sends so much.
const feedQueue = 64 << 20

// remote says whether the origin is reached by messages only.
func (o *Origin) remote() bool { return o.Remote || o.Consumer != "" }

// originID is the number of the stream that is copied.
func (c *copier) originID() uint64 {
	if o := c.origin.Load(); o != nil {
		return o.spec.ID
	}
	return remoteOrigin
}

// place is where the copy of a remote origin goes on.
func (c *copier) place() Place {
	if c.mirror {
		if last := c.stream.part.Status().Last; last > 0 {
			return Place{Seq: last + 1}
		}
	} else if p := c.stream.ledger.progressOf(c.key); p.origin != 0 {
		return Place{Seq: p.seq + 1}
	}
	return Place{Seq: c.config.StartSeq, Time: c.config.StartTime}
}

// openFeed begins to follow the origin.
func (sh *Shard) openFeed(c *copier, now int64) bool {
	follower, ok := c.stream.dialect.(Follower)
	if !ok {
		sh.retry(c, ErrRemoteOrigin, now)
		return false
	}
	if c.mirror && c.config.StartSeq > 0 && c.config.StartTime > 0 {
		sh.retry(c, ErrTwoStarts, now)
		return false
	}
	c.fed.number++
	number := c.fed.number
	from := c.place()
	from.Unasked = c.unasked
	c.fed = fed{number: number, heard: now, next: from.Seq}
	c.fed.feed = follower.Follow(c.stream, &c.config, from, func(items []FeedItem) {
		sh.post(event{kind: evCall, call: func(now int64) {
			if c.fed.number == number {
				c.came(items, now)
				sh.touchCopy(c)
			}
		}})
	})
	return true
}

// came queues what a feed brought. One that brings more than is copied ends, and
// another one goes on where its queue ended.
func (c *copier) came(items []FeedItem, now int64) {
	f := &c.fed
	if f.feed == nil || f.full {
		return
	}
	f.heard = now
	f.queue = append(f.queue, items...)
	for i := range items {
		f.bytes += recordSize(&items[i].View)
		if items[i].Kind != FeedFailed {
			c.active.Store(now)
		}
	}
	if f.bytes > feedQueue {
		f.full = true
		f.feed.Close()
	}
}

// closeFeed ends the following. The queue goes with it: the next feed brings it again.
func (c *copier) closeFeed() {
	if c.fed.feed != nil {
		if !c.fed.full {
			c.fed.feed.Close()
		}
		c.fed = fed{number: c.fed.number}
	}
}

// lose ends a feed that is of no use any more and tries another one later.
func (sh *Shard) lose(c *copier, err error, now int64) {
	c.closeFeed()
	sh.retry(c, err, now)
}

// copyFed copies some of what a feed brought.
func (sh *Shard) copyFed(c *copier, now int64) {
	if c.fed.feed == nil {
		if c.inFlight > 0 || !sh.openFeed(c, now) {
			return // its end comes back here, as does the retry
		}
	}
	switch {
	case c.fed.full:
	case now-c.fed.heard >= feedPatience:
		sh.lose(c, ErrFeedSilent, now)
		return
	default:
		sh.wheel.Set(&c.timer, c.fed.heard+feedPatience)
	}
	if c.inFlight >= c.ahead() || sh.holdCopy(c, now) {
		return
	}
	b := &copyBatch{}
	err := c.drain(b)
	if b.area.Len() > 0 {
		c.size = nextArea(c.size, len(b.area.Buf))
		if c.mirror {
			sh.copyPlaced(c, b, now)
		} else {
			sh.copyAdmitted(c, b, now)
		}
	}
	switch {
	case errors.Is(err, errUnasked):
		c.closeFeed()
		sh.touchCopy(c)
	case err != nil && c.fed.feed != nil:
		sh.lose(c, err, now)
	case len(c.fed.queue) > 0 && c.inFlight < c.ahead():
		sh.touchCopy(c)
	case c.fed.full && len(c.fed.queue) == 0 && c.inFlight == 0:
		c.closeFeed()
		sh.touchCopy(c)
	}
}

// drain takes what came up to a batch's size, or up to something that has to wait
// until what came before is stored. The error says that the feed is of no use.
func (c *copier) drain(b *copyBatch) error {
	f := &c.fed
	taken := 0
	defer func() {
		for i := range f.queue[:taken] {
			f.bytes -= recordSize(&f.queue[i].View)
		}
		clear(f.queue[:taken])
		if f.queue = f.queue[taken:]; len(f.queue) == 0 {
			f.queue = nil
		}
	}()
	for i := range f.queue {
		it := &f.queue[i]
		switch it.Kind {
		case FeedRecord:
			if f.last != 0 && it.ConsumerSeq != f.last+1 {
				return ErrFeedGap
			}
			f.last = it.ConsumerSeq
			c.behind.Store(it.Pending)
			if it.View.Seq >= f.next {
				f.next, f.seq = it.View.Seq+1, it.View.Seq
				c.stage(b, &it.View)
			}
		case FeedReady:
			c.behind.Store(it.Pending)
			c.recovered()
		case FeedBeat:
			if it.ConsumerSeq != f.last {
				return ErrFeedGap
			}
		case FeedFailed:
			return fmt.Errorf("follow the origin: %w", it.Err)
		}
		if it.Reply != "" {
			if b.area.Len() > 0 || c.inFlight > 0 {
				return nil
			}
			if !f.feed.Confirm(it.Reply, f.last, f.seq) && !f.full {
				c.unasked = true
				return errUnasked
			}
		}
		taken = i + 1
		if len(b.area.Buf) >= copyBytes || b.area.Len() >= copyRecords {
			return nil
		}
	}
	return nil
}

// refusedFed has a feed's records from a refused one on asked for again.
func (sh *Shard) refusedFed(c *copier, refused partition.Refusal, now int64) {
	c.wait = min(c.wait, retryFull)
	sh.lose(c, copyRefused(refused), now)
}
