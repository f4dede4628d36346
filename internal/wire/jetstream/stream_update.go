package jetstream

import (
	"maps"
	"reflect"
	"slices"
)

// Clone copies the configuration with its subjects and metadata. Options that are
// pointers are shared.
func (c *StreamConfig) Clone() *StreamConfig {
	out := *c
	out.Subjects = slices.Clone(c.Subjects)
	out.Metadata = maps.Clone(c.Metadata)
	return &out
}

// Equal says whether two normalized configurations ask for the same stream. What
// the server keeps in the metadata does not count.
func (c *StreamConfig) Equal(o *StreamConfig) bool {
	a, b := *c, *o
	a.Metadata, b.Metadata = withoutServerKeys(a.Metadata), withoutServerKeys(b.Metadata)
	return reflect.DeepEqual(&a, &b)
}

// CheckUpdate says whether the stream may change from c to next, both normalized.
// It sets in next what an update can not say: the first sequence stays.
func (c *StreamConfig) CheckUpdate(next *StreamConfig) *Error {
	next.FirstSeq = c.FirstSeq
	for _, r := range [...]struct {
		broken bool
		text   string
	}{
		{next.Name != c.Name, "stream name can not be updated"},
		{next.Storage != c.Storage || next.Metadata[MetaStorage] != c.Metadata[MetaStorage], "storage can not be updated"},
		{next.Retention != c.Retention && (next.Retention == RetentionWorkQueue || c.Retention == RetentionWorkQueue),
			"retention can not be updated to or from workqueue"},
		{c.Sealed && !next.Sealed, "a sealed stream stays so"},
		{c.Sealed && c.tightened(next), "a sealed stream keeps its messages"},
		{c.DenyDelete && !next.DenyDelete, "deny_delete can not be revoked"},
		{c.DenyPurge && !next.DenyPurge, "deny_purge can not be revoked"},
		{c.AllowMsgTTL && !next.AllowMsgTTL, "allow_msg_ttl can not be revoked"},
		{c.AllowMsgSchedules && !next.AllowMsgSchedules, "allow_msg_schedules can not be revoked"},
		{c.AllowMsgCounter != next.AllowMsgCounter, "allow_msg_counter can not be updated"},
		{c.PersistMode != next.PersistMode, "persist_mode can not be updated"},
	} {
		if r.broken {
			return invalidStream("stream configuration update: %s", r.text)
		}
	}
	if next.Mirror != nil && !reflect.DeepEqual(c.Mirror, next.Mirror) {
		return Err(CodeStreamMirrorNotUpdatable)
	}
	return nil
}

// tightened says whether next may hold less than c.
func (c *StreamConfig) tightened(next *StreamConfig) bool {
	if next.Retention != c.Retention {
		return true
	}
	for _, l := range [...]struct{ was, is int64 }{
		{c.MaxMsgs, next.MaxMsgs}, {c.MaxBytes, next.MaxBytes}, {c.MaxMsgsPerSubject, next.MaxMsgsPerSubject},
	} {
		if l.is > 0 && (l.was <= 0 || l.is < l.was) {
			return true
		}
	}
	return false
}

// CheckConsumer says whether the stream may have its limits on consumers with one
// that it has already.
func (c *StreamConfig) CheckConsumer(con *ConsumerConfig) *Error {
	l := c.ConsumerLimits
	switch {
	case l.MaxAckPending > 0 && (con.MaxAckPending > l.MaxAckPending || con.MaxAckPending < 0):
		return errText(CodeStreamUpdate, "consumer %q has a larger max_ack_pending", con.KnownName())
	case l.InactiveThreshold > 0 && con.InactiveThreshold > l.InactiveThreshold:
		return errText(CodeStreamUpdate, "consumer %q has a longer inactive_threshold", con.KnownName())
	}
	return nil
}

// Overlaps says whether the stream's subjects overlap with those of another, which
// it must not have: the error is number 10065.
func (c *StreamConfig) Overlaps(subjects []string) bool {
	for _, a := range c.Subjects {
		for _, b := range subjects {
			if subjectsOverlap(a, b) {
				return true
			}
		}
	}
	return false
}
