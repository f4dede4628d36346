package stream

import (
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
)

// A consumer that has much to send takes a third of its time for finding and verifying
// records. So the shard's scout reads on for it meanwhile. It does so for one consumer at
// a time, which is enough to keep a second processor busy.

// Bounds of what the scout reads: so many lots at a time, each of so much. To wake its
// goroutine takes longer than to read a lot, so it is given several at once.
const (
	scoutLots    = 8
	scoutAtOnce  = scoutLots / 2
	scoutRecords = stepLimit
	scoutBytes   = 512 << 10
)

// reading is a lot that the scout reads, or has read.
type reading struct {
	lot
	trail trail
	view  record.View
	end   uint64 // from where to read on
	taken int    // how many records the shard has looked at
	done  chan struct{}
}

// scout reads ahead for the consumers of a shard.
type scout struct {
	ask     chan *reading // to the scout's goroutine
	readers sync.WaitGroup
	leaving atomic.Bool // what is asked for is not wanted any more

	// Only the shard. While something is coming the holder's reader is the scout's.
	running bool
	holder  *source    // for whom it reads; nil: for nobody
	more    bool       // the holder had more to send at the end of its last step
	at      uint64     // from where next goes on
	serving *reading   // what the holder is served from; nil: none
	coming  []*reading // what comes then, in order; the last ones may not be read yet
	spent   []*reading // what the holder's step may still point to
	spare   []*reading
}

// start begins to read.
func (sc *scout) start() {
	sc.ask = make(chan *reading, scoutLots)
	for range scoutLots {
		sc.spare = append(sc.spare, &reading{done: make(chan struct{}, 1)})
	}
	sc.running = true
	sc.readers.Go(func() {
		for r := range sc.ask {
			if !sc.leaving.Load() {
				r.read()
			}
			r.done <- struct{}{}
		}
	})
}

// stop ends reading.
func (sc *scout) stop() {
	sc.running = false
	sc.leaving.Store(true)
	close(sc.ask)
	sc.readers.Wait()
}

// read gathers what comes next.
func (r *reading) read() {
	budget := scanBudget
	for len(r.finds) < scoutRecords && r.bytes < scoutBytes && r.trail.next(&r.view, &budget) == consumer.Found {
		r.keep(&r.view)
	}
	r.end = r.trail.reader.Position()
}

// next gives the next record that was read ahead for a source; nil: its reader is where
// to go on.
func (sc *scout) next(s *source) *find {
	if sc.holder != s {
		return nil
	}
	for {
		if r := sc.serving; r != nil {
			for r.taken < len(r.finds) {
				f := &r.finds[r.taken]
				r.taken++
				if s.part.Live(f.seq) {
					sc.at = f.seq + 1
					return f
				}
			}
			sc.at = r.end
			sc.spent, sc.serving = append(sc.spent, r), nil
		}
		if len(sc.coming) == 0 {
			return nil
		}
		sc.serving = sc.coming[0]
		sc.coming = append(sc.coming[:0], sc.coming[1:]...)
		<-sc.serving.done
	}
}

// stepped is called when a source's step has been sent; more says that it has more to
// send.
func (sc *scout) stepped(s *source, more bool) {
	sc.recycle()
	if sc.holder != s {
		if !more || !sc.running || sc.holder != nil && sc.more || s.reader == nil {
			return
		}
		if last := sc.holder; last != nil {
			at := sc.at
			sc.leave(last)
			last.reader.Seek(at)
			sc.recycle()
		}
		sc.holder, sc.at = s, s.reader.Position()
	}
	if sc.more = more; more {
		sc.goOn()
	}
}

// recycle takes back the lots that no step points to any longer.
func (sc *scout) recycle() {
	for _, r := range sc.spent {
		r.empty()
		r.trail, r.view, r.taken = trail{}, record.View{}, 0
		sc.spare = append(sc.spare, r)
	}
	sc.spent = sc.spent[:0]
}

// goOn has more read for the holder, if there is so much that to do so beside pays.
func (sc *scout) goOn() {
	if !sc.running || len(sc.spare) < scoutAtOnce {
		return
	}
	ahead := uint64(scoutLots+1) * scoutRecords
	if sc.holder.part.Committed() < sc.at+ahead {
		return
	}
	for _, r := range sc.spare {
		r.trail = sc.holder.trail()
		sc.coming = append(sc.coming, r)
		sc.ask <- r
	}
	sc.spare = sc.spare[:0]
}

// leave forgets what was read ahead for a source, if it is the holder. Its reader is
// its own again, and stands anywhere.
func (sc *scout) leave(s *source) {
	if sc.holder != s {
		return
	}
	sc.leaving.Store(true)
	for _, r := range sc.coming {
		<-r.done
	}
	sc.leaving.Store(!sc.running)
	if sc.serving != nil {
		sc.spent = append(sc.spent, sc.serving)
	}
	sc.spent = append(sc.spent, sc.coming...)
	sc.serving, sc.coming, sc.holder, sc.more = nil, sc.coming[:0], nil, false
}
