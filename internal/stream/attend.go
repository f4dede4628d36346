package stream

import (
	"context"

	"github.com/weirmq/weir/internal/consumer"
)

// Attend posts that members of the consumer are there to receive. Those who were there
// before have to come together: what one has not acknowledged goes to others where it is
// not there.
func (c *Consumer) Attend(ids ...uint32) {
	c.tell(func(now int64) {
		for _, id := range ids {
			c.core.Attend(id, true, now)
		}
	})
}

// Depart has a member be there no more. When it returns nothing is delivered to it any
// longer, and what it acknowledged stands in the log before whatever is proposed then.
func (c *Consumer) Depart(ctx context.Context, id uint32) error {
	w := newWaiter()
	sh := c.stream.shard
	sh.post(event{kind: evCall, call: func(now int64) {
		if !c.gone.Load() {
			c.core.Attend(id, false, now)
			sh.step(c, now)
		}
		w.finish()
	}})
	return w.wait(ctx)
}

// Suspect posts that a member of the consumer seems to be gone, or not.
func (c *Consumer) Suspect(id uint32, suspect bool) {
	c.tell(func(now int64) { c.core.Suspect(id, suspect, now) })
}

// tell has the shard tell the core something, and step it.
func (c *Consumer) tell(f func(now int64)) {
	sh := c.stream.shard
	sh.post(event{kind: evCall, call: func(now int64) {
		if !c.gone.Load() {
			f(now)
			sh.touch(c)
		}
	}})
}

// Members asks the shard for the state of the consumer's members.
func (c *Consumer) Members(ctx context.Context) ([]consumer.MemberInfo, error) {
	var out []consumer.MemberInfo
	if err := c.ask(ctx, func(int64) { out = c.core.Members() }); err != nil {
		return nil, err
	}
	return out, nil
}

// Acked posts that records were acknowledged, in order with everything else that is
// posted, such as Attend. It takes the slice over.
func (c *Consumer) Acked(seqs []uint64) {
	c.stream.shard.post(event{kind: evAcked, consumer: c, seqs: seqs})
}
