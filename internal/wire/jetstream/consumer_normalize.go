package jetstream

import (
	"time"
)

// ConsumerOptions are what the checks of a consumer's configuration need to know.
type ConsumerOptions struct {
	// Stream is the consumer's stream, normalized. It must be set.
	Stream *StreamConfig
	// MaxAckPending and MaxRequestBatch are the server's or account's bounds; 0 or
	// less is none.
	MaxAckPending   int
	MaxRequestBatch int
	// Pedantic refuses what would otherwise be corrected silently.
	Pedantic bool
}

const (
	defaultAckWait           = 30 * time.Second
	defaultMaxAckPending     = 1000
	defaultMaxWaiting        = 512
	defaultInactiveThreshold = 5 * time.Second
	defaultPriorityTimeout   = 2 * time.Minute
)

// Normalize replaces what is missing by its default and what has no meaning by
// what has. An error, only in pedantic mode, is number 10157. Metadata gets the
// level that the consumer needs.
func (c *ConsumerConfig) Normalize(o ConsumerOptions) *Error {
	if err := c.normalizeNumbers(o.Pedantic); err != nil {
		return err
	}
	if err := c.normalizeAcks(o); err != nil {
		return err
	}
	if c.Name == "" {
		c.Name = c.Durable
	}
	if c.InactiveThreshold == 0 {
		c.InactiveThreshold = o.Stream.ConsumerLimits.InactiveThreshold
	}
	if c.InactiveThreshold == 0 && c.Durable == "" {
		c.InactiveThreshold = defaultInactiveThreshold
	}
	if !c.Push() && c.MaxWaiting == 0 {
		c.MaxWaiting = defaultMaxWaiting
	}
	c.PriorityTimeout = max(c.PriorityTimeout, 0)
	if c.PriorityPolicy == PriorityPinnedClient && c.PriorityTimeout == 0 {
		c.PriorityTimeout = defaultPriorityTimeout
	}
	c.OptStartTime, c.PauseUntil = utc(c.OptStartTime), utc(c.PauseUntil)
	if c.PauseUntil != nil && c.PauseUntil.IsZero() {
		c.PauseUntil = nil // not paused
	}
	if len(c.FilterSubjects) == 0 {
		c.FilterSubjects = nil
	}
	if len(c.PriorityGroups) == 0 {
		c.PriorityGroups = nil
	}
	c.Stamp()
	return nil
}

// Stamp sets in the metadata the level that the consumer needs. It is for after a
// change of PauseUntil, too.
func (c *ConsumerConfig) Stamp() {
	if metadataSize(c.Metadata) <= maxMetadata {
		c.Metadata = stamp(c.Metadata, c.requiredLevel())
	}
}

// normalizeNumbers gives negative bounds their meaning.
func (c *ConsumerConfig) normalizeNumbers(pedantic bool) *Error {
	expires := int(min(c.MaxRequestExpires, 0))
	for _, n := range [...]struct {
		p    *int
		name string
		low  int // what every smaller value becomes
	}{
		{&c.MaxDeliver, "max_deliver", -1},
		{&c.MaxAckPending, "max_ack_pending", -1},
		{&c.MaxWaiting, "max_waiting", 0},
		{&c.MaxRequestBatch, "max_batch", 0},
		{&expires, "max_expires", 0},
		{&c.MaxRequestMaxBytes, "max_bytes", 0},
	} {
		if *n.p >= n.low {
			continue
		}
		if pedantic {
			return pedanticErr(n.name + " is out of range")
		}
		*n.p = n.low
	}
	c.MaxRequestExpires = max(c.MaxRequestExpires, 0)
	c.InactiveThreshold = max(c.InactiveThreshold, 0)
	if c.MaxDeliver == 0 {
		c.MaxDeliver = -1
	}
	return nil
}

// normalizeAcks sets how long and for how many acknowledgements is waited.
func (c *ConsumerConfig) normalizeAcks(o ConsumerOptions) *Error {
	waits := c.AckPolicy == AckExplicit || c.AckPolicy == AckAll
	flows := c.AckPolicy == AckFlowControl && c.Push()
	if flows && !o.Pedantic {
		c.FlowControl, c.IdleHeartbeat = true, flowHeartbeat
	}
	switch {
	case len(c.Backoff) > 0:
		if o.Pedantic && c.AckWait != c.Backoff[0] {
			return pedanticErr("ack_wait must equal the first backoff")
		}
		c.AckWait = c.Backoff[0]
	case waits && c.AckWait == 0:
		c.AckWait = defaultAckWait
	}
	if len(c.Backoff) == 0 {
		c.Backoff = nil
	}
	if (waits || flows) && c.MaxAckPending == 0 {
		c.MaxAckPending = defaultMaxAckPending
		if limit := o.Stream.ConsumerLimits.MaxAckPending; limit > 0 {
			c.MaxAckPending = limit
		}
		if o.MaxAckPending > 0 {
			c.MaxAckPending = min(c.MaxAckPending, o.MaxAckPending)
		}
	}
	return nil
}

// requiredLevel is the API level that a server needs to serve the consumer.
func (c *ConsumerConfig) requiredLevel() int {
	switch {
	case c.AckPolicy == AckFlowControl:
		return 4
	case c.PauseUntil != nil, c.PriorityPolicy != PriorityNone, c.PriorityTimeout != 0, len(c.PriorityGroups) > 0:
		return 1
	}
	return 0
}

// utc gives the same instant in UTC, so that equal times are equal values. The
// zero time is a time, too: the beginning.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
