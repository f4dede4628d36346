package stream

import "github.com/weirmq/weir/internal/partition"

// manyStages is to how many destinations a publisher hands over at once if it brings
// little to many streams: what it brings may wait in each for what else comes.
const manyStages = 32

// gather hands a batch to the partition, where it may wait for others, and the shard
// admits it.
func (s *Stream) gather(b *staged, now int64) {
	if c := s.config.Load(); !b.plain() || c.Async || c.Memory || s.republish.Load() != nil {
		s.admit(b, now)
		return
	}
	b.size = int64(len(b.Area.Buf))
	s.fly(b.size)
	s.part.Gather(now, &b.Batch)
}

// plain says that there is nothing to the batch but records and replies.
func (b *staged) plain() bool {
	return b.done == nil && b.answers == nil && !b.late && b.whole == "" &&
		len(b.flows)+len(b.tickets)+len(b.turns) == 0
}

// Gathered implements partition.Gatherer.
func (s *Stream) Gathered(into, b *partition.Batch) {
	a, o := into.Owner.(*staged), b.Owner.(*staged)
	base := uint32(len(a.replies))
	a.replies = append(a.replies, o.replies...)
	for _, end := range o.ends {
		a.ends = append(a.ends, base+end)
	}
	a.size += o.size
	o.free()
}

// Due implements partition.Gatherer.
func (s *Stream) Due() { s.shard.post(event{kind: evGathered, stream: s}) }
