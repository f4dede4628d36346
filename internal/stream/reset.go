package stream

import (
	"context"
	"crypto/rand"
)

// Reset has the consumer deliver again from seq on, as if it were new; 0: from
// right behind its floor. It returns when that is durable: the state at that
// moment, before anything was delivered again, and the sequence.
func (c *Consumer) Reset(ctx context.Context, seq uint64) (ConsumerInfo, uint64, error) {
	sh := c.stream.shard
	var info ConsumerInfo
	w := newWaiter()
	sh.post(event{kind: evCall, call: func(now int64) {
		if c.gone.Load() {
			w.fail(ErrNotFound)
			return
		}
		seq = c.core.Reset(seq, now)
		c.core.Replay(c.stream.part.Committed())
		c.source.open(c)
		info = c.info(now)
		sh.step(c, now)
		if c.Config().Local {
			w.finish()
		} else if err := c.stream.part.Barrier(w.fail); err != nil {
			w.fail(err)
		}
	}})
	if err := w.wait(ctx); err != nil {
		return ConsumerInfo{}, 0, err
	}
	return info, seq, nil
}

// Unpin ends the pin of a priority group's client.
func (c *Consumer) Unpin(ctx context.Context, group string) error {
	return c.ask(ctx, func(now int64) {
		c.core.Unpin(group, now)
		c.stream.shard.touch(c)
	})
}

// newPin makes the mark of a pinned client: nobody can guess it, and it is never
// made twice.
func newPin() string { return rand.Text() }

// Listened says whether somebody, or a stream, gets what the stream's account
// publishes on a subject.
func (s *Stream) Listened(subject []byte) bool {
	r := s.space.Match(subject)
	return len(r.Plain) > 0 || len(r.Queues) > 0
}
