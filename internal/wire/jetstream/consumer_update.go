package jetstream

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

func consumerErr(text string) *Error { return ErrWith(CodeConsumerCreate, "err", text) }

// Clone copies the configuration and what it points to.
func (c *ConsumerConfig) Clone() *ConsumerConfig {
	out := *c
	out.Backoff = slices.Clone(c.Backoff)
	out.FilterSubjects = slices.Clone(c.FilterSubjects)
	out.PriorityGroups = slices.Clone(c.PriorityGroups)
	out.Metadata = maps.Clone(c.Metadata)
	return &out
}

// Equal says whether two normalized configurations ask for the same consumer. What
// the server keeps in the metadata does not count.
func (c *ConsumerConfig) Equal(o *ConsumerConfig) bool {
	a, b := *c, *o
	a.Metadata, b.Metadata = withoutServerKeys(a.Metadata), withoutServerKeys(b.Metadata)
	return reflect.DeepEqual(&a, &b)
}

// CheckUpdate says whether the consumer may change from c to next, both
// normalized.
func (c *ConsumerConfig) CheckUpdate(next *ConsumerConfig) *Error {
	for _, r := range [...]struct {
		changed bool
		what    string
	}{
		{c.KnownName() != next.KnownName(), "name"},
		{c.DeliverPolicy != next.DeliverPolicy, "deliver policy"},
		{c.OptStartSeq != next.OptStartSeq, "start sequence"},
		{!sameTime(c.OptStartTime, next.OptStartTime), "start time"},
		{c.AckPolicy != next.AckPolicy, "ack policy"},
		{c.ReplayPolicy != next.ReplayPolicy, "replay policy"},
		{c.IdleHeartbeat != next.IdleHeartbeat, "heart beats"},
		{c.FlowControl != next.FlowControl, "flow control"},
		{c.Push() != next.Push(), "push or pull mode"},
		{c.MaxWaiting != next.MaxWaiting, "max waiting"},
		{c.MemoryStorage != next.MemoryStorage, "memory storage"},
		{c.Direct != next.Direct, "direct"},
		{c.Sourcing != next.Sourcing, "sourcing"},
	} {
		if r.changed {
			return consumerErr(r.what + " can not be updated")
		}
	}
	return nil
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}
