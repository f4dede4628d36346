package jetstream

import (
	"strings"
	"time"
)

const maxDescription = 4096

func invalidStream(format string, args ...any) *Error {
	return errText(CodeStreamInvalidConfig, format, args...)
}

// Check makes a configuration ready to be stored: it normalizes and validates it
// and refuses what a single server does not serve. That no other stream has the
// subjects, and the account's limits, are for the caller to check afterwards.
func (c *StreamConfig) Check(o StreamOptions) *Error {
	if err := c.checkName(); err != nil {
		return err
	}
	if err := c.Normalize(o); err != nil {
		return err
	}
	if err := c.Validate(o); err != nil {
		return err
	}
	if c.Replicas > 1 {
		return Err(CodeReplicasNotSupported)
	}
	return nil
}

// Validate checks a normalized configuration, in the order in which clients are
// used to see errors.
func (c *StreamConfig) Validate(o StreamOptions) *Error {
	for _, check := range []func() *Error{
		c.checkName,
		c.checkText,
		c.checkReplicas,
		func() *Error { return c.checkTimes(o) },
		c.checkPermissions,
		c.checkFeatures,
		c.checkStorage,
		func() *Error { return c.checkMirror(o) },
		func() *Error { return c.checkSources(o) },
		c.checkExternals,
		c.checkSubjects,
		func() *Error { return c.checkTransform(o) },
		func() *Error { return c.checkRepublish(o) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *StreamConfig) checkName() *Error {
	switch {
	case len(c.Name) > MaxNameLen:
		return invalidStream("stream name is too long, at most %d bytes are allowed", MaxNameLen)
	case !ValidName(c.Name):
		return invalidStream("a stream name is required and can not contain '.', '*', '>', path separators or white space")
	}
	return nil
}

func (c *StreamConfig) checkText() *Error {
	switch {
	case len(c.Description) > maxDescription:
		return invalidStream("stream description is too long, at most %d bytes are allowed", maxDescription)
	case metadataSize(withoutServerKeys(c.Metadata)) > maxMetadata:
		return invalidStream("stream metadata exceeds maximum size of %d bytes", maxMetadata)
	}
	return nil
}

func (c *StreamConfig) checkReplicas() *Error {
	const maxReplicas = 5
	switch {
	case c.Replicas < 0:
		return Err(CodeReplicasNegative)
	case c.Replicas > maxReplicas:
		return invalidStream("at most %d replicas are allowed", maxReplicas)
	}
	return nil
}

func (c *StreamConfig) checkTimes(o StreamOptions) *Error {
	if c.MaxAge < 0 || c.MaxAge > 0 && c.MaxAge < minDuration {
		return invalidStream("max age needs to be >= %v", minDuration)
	}
	w := c.DuplicateWindow
	switch {
	case w < 0:
		return invalidStream("duplicate window can not be negative")
	case c.MaxAge > 0 && w > c.MaxAge:
		return invalidStream("duplicate window can not be longer than max age")
	case o.MaxDuplicateWindow > 0 && w > o.MaxDuplicateWindow:
		return invalidStream("duplicate window can not be longer than the server's limit of %v", o.MaxDuplicateWindow)
	case w > 0 && w < minDuration:
		return invalidStream("duplicate window needs to be >= %v", minDuration)
	}
	return nil
}

func (c *StreamConfig) checkPermissions() *Error {
	switch {
	case c.DenyPurge && c.AllowRollup:
		return invalidStream("roll-ups need the permission to purge")
	case c.DiscardNewPerSubject && c.Discard != DiscardNew:
		return invalidStream("discard new per subject needs the discard policy new")
	case c.DiscardNewPerSubject && c.MaxMsgsPerSubject <= 0:
		return invalidStream("discard new per subject needs max msgs per subject > 0")
	case c.ConsumerLimits.InactiveThreshold < 0:
		return invalidStream("consumer limit inactive threshold can not be negative")
	case c.ConsumerLimits.MaxAckPending < -1:
		return invalidStream("consumer limit max ack pending can not be below -1")
	}
	return nil
}

// checkFeatures finds options that exclude one another.
func (c *StreamConfig) checkFeatures() *Error {
	ttl := c.SubjectDeleteMarkerTTL
	uncountable := c.Discard == DiscardNew || c.AllowMsgTTL || c.AllowMsgSchedules || c.Retention != RetentionLimits
	synchronous := c.Storage != StorageFile || c.Replicas > 1 || c.AllowAtomicPublish
	switch {
	case ttl != 0 && ttl < time.Second:
		return invalidStream("subject delete marker TTL needs to be >= 1s")
	case c.AllowMsgCounter && uncountable:
		return invalidStream("counters exclude discard new, message TTLs, schedules and other retentions than limits")
	case c.AllowMsgSchedules && c.Discard == DiscardNew:
		return invalidStream("message schedules exclude discard new")
	case c.PersistMode == PersistAsync && synchronous:
		return invalidStream("async persist mode needs file storage, one replica and no atomic publish")
	case c.Placement != nil && c.Placement.Preferred != "":
		return invalidStream("a preferred server is not permitted in placement")
	}
	return nil
}

// maxSubjects bounds the subjects of a stream and the filters of a consumer: each
// pattern is compared with all others.
const maxSubjects = 4096

// checkSubjects checks each subject, then each against those before it.
func (c *StreamConfig) checkSubjects() *Error {
	if len(c.Subjects) > maxSubjects {
		return invalidStream("too many subjects, at most %d are allowed", maxSubjects)
	}
	for _, s := range c.Subjects {
		if err := c.checkSubject(s); err != nil {
			return err
		}
	}
	a, b, found := firstOverlap(c.Subjects)
	switch {
	case !found:
		return nil
	case a == b:
		return invalidStream("duplicate subject %q", a)
	}
	return invalidStream("subject %q overlaps with %q", a, b)
}

// checkSubject refuses what can not be subscribed and, unless publishes are not
// acknowledged, what would answer the system's own traffic.
func (c *StreamConfig) checkSubject(s string) *Error {
	switch {
	case !validSubject(s):
		return invalidStream("invalid subject %q", s)
	case s == ">" && (!c.NoAck || c.Replicas > 1):
		return invalidStream("capturing all subjects needs no_ack and one replica")
	case c.NoAck:
		return nil
	}
	for _, p := range [...]struct{ space, except string }{
		{"$JS.>", "$JS.EVENT.>"},
		{"$JSC.>", ""},
		{"$NRG.>", ""},
		{"$SYS.>", "$SYS.ACCOUNT.>"},
	} {
		if subjectsOverlap(s, p.space) && (p.except == "" || !subjectContains(p.except, s)) {
			return invalidStream("subject %q overlaps with the system's %s and needs no_ack", s, strings.TrimSuffix(p.space, ">"))
		}
	}
	return nil
}
