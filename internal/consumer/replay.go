package consumer

import "time"

// replay is a delivery in original time: what was there when it began keeps the
// time that lay between the messages when they were stored. What came later has
// that already and is sent at once.
type replay struct {
	// through is the last sequence that was there when the consumer began.
	through uint64
	// stored and sent are the times of the last new message, in the stream and here;
	// sent is 0 before the first.
	stored, sent int64
}

// shortestGap is the longest time between two messages that is not kept.
const shortestGap = int64(time.Millisecond)

// Replay says that the stream's last sequence is through at this moment, from which
// a consumer in original time begins. Whoever calls New or Reset calls it.
func (c *Consumer) Replay(through uint64) { c.replay.through = through }

// sentNew notes that a record was sent for the first time.
func (r *replay) sentNew(it *Item, now int64) { r.stored, r.sent = it.Time, now }

// replayAt is when a record may be sent for the first time; 0: now.
func (c *Consumer) replayAt(it *Item) int64 {
	r := &c.replay
	gap := it.Time - r.stored
	if !c.cfg.ReplayOriginal || it.Seq > r.through || r.sent == 0 || gap <= shortestGap {
		return 0
	}
	return r.sent + min(gap, maxDelay)
}
