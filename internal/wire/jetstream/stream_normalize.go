package jetstream

import (
	"time"
)

// StreamOptions are what the checks of a stream's configuration need to know about
// the server and the request.
type StreamOptions struct {
	// MaxDuplicateWindow bounds duplicate_window; 0 is no bound.
	MaxDuplicateWindow time.Duration
	// Transform says whether a source is a pattern, and the destination one that it
	// can be mapped to; nil: all are.
	Transform func(source, destination string) (badSource, badDestination error)
	// Pedantic refuses what would otherwise be corrected silently.
	Pedantic bool
}

const (
	defaultDuplicateWindow = 2 * time.Minute
	minDuration            = 100 * time.Millisecond
)

// Normalize replaces what is missing by its default and what has no meaning by
// what has, so that the configuration is the one that is stored and shown. An
// error, only in pedantic mode, is number 10157. Metadata gets the level that the
// stream needs.
func (c *StreamConfig) Normalize(o StreamOptions) *Error {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.MaxConsumers == 0 {
		c.MaxConsumers = -1
	}
	if err := c.unlimit(o.Pedantic); err != nil {
		return err
	}
	copies := c.Mirror != nil || len(c.Sources) > 0
	if c.DuplicateWindow == 0 && !copies {
		if err := c.defaultWindow(o); err != nil {
			return err
		}
	}
	if len(c.Subjects) == 0 && !copies && ValidName(c.Name) && c.Metadata[MetaCapture] != CaptureNone {
		c.Subjects = []string{c.Name}
	}
	if o.Pedantic && c.Republish != nil && c.Republish.Source == "" {
		return pedanticErr("republish needs a source")
	}
	c.dropEmpty()
	if err := c.allowMarkers(o.Pedantic); err != nil {
		return err
	}
	if c.Sealed {
		c.MaxAge, c.Discard = 0, DiscardNew
		c.DenyDelete, c.DenyPurge, c.AllowRollup = true, true, false
	}
	if metadataSize(c.Metadata) <= maxMetadata {
		c.Metadata = stamp(c.Metadata, c.requiredLevel())
	}
	return nil
}

// allowMarkers turns on what schedules and delete markers need: both replace what
// was before them, and markers live for a time. Who asks for roll-ups himself has to
// allow purges, too.
func (c *StreamConfig) allowMarkers(pedantic bool) *Error {
	if c.Mirror != nil {
		return nil
	}
	markers := c.SubjectDeleteMarkerTTL > 0
	switch {
	case !pedantic:
	case c.AllowMsgSchedules && !c.AllowRollup:
		return invalidStream("allow_msg_schedules needs allow_rollup_hdrs")
	case markers && !(c.AllowMsgTTL && c.AllowRollup):
		return invalidStream("subject_delete_marker_ttl needs allow_msg_ttl and allow_rollup_hdrs")
	}
	if (c.AllowMsgSchedules || markers) && !c.AllowRollup {
		c.AllowRollup, c.DenyPurge = true, false
	}
	c.AllowMsgTTL = c.AllowMsgTTL || markers
	return nil
}

// dropEmpty gives what says nothing the form of what is missing.
func (c *StreamConfig) dropEmpty() {
	if len(c.Subjects) == 0 {
		c.Subjects = nil
	}
	if len(c.Sources) == 0 {
		c.Sources = nil
	}
	if r := c.Republish; r != nil && r.Source == "" {
		c.Republish = &Republish{Source: ">", Destination: r.Destination, HeadersOnly: r.HeadersOnly}
	}
	if p := c.Placement; p != nil && p.Cluster == "" && len(p.Tags) == 0 && p.Preferred == "" {
		c.Placement = nil
	}
}

// unlimit makes -1 of every limit that is none.
func (c *StreamConfig) unlimit(pedantic bool) *Error {
	wide := []struct {
		p    *int64
		name string
	}{
		{&c.MaxMsgs, "max_msgs"},
		{&c.MaxBytes, "max_bytes"},
		{&c.MaxMsgsPerSubject, "max_msgs_per_subject"},
	}
	for _, l := range wide {
		if *l.p < -1 && pedantic {
			return pedanticErr(l.name + " must be -1 for no limit")
		}
		if *l.p == 0 || *l.p < -1 {
			*l.p = -1
		}
	}
	if c.MaxMsgSize < -1 && pedantic {
		return pedanticErr("max_msg_size must be -1 for no limit")
	}
	if c.MaxMsgSize == 0 || c.MaxMsgSize < -1 {
		c.MaxMsgSize = -1
	}
	if c.MaxConsumers < -1 {
		if pedantic {
			return pedanticErr("max_consumers must be -1 for no limit")
		}
		c.MaxConsumers = -1
	}
	return nil
}

// defaultWindow sets the window in which duplicates are found: two minutes, or
// less where the server or max_age allow no more.
func (c *StreamConfig) defaultWindow(o StreamOptions) *Error {
	window := defaultDuplicateWindow
	if o.MaxDuplicateWindow > 0 {
		window = min(window, o.MaxDuplicateWindow)
	}
	if c.MaxAge > 0 && c.MaxAge < window {
		if o.Pedantic {
			return pedanticErr("duplicate_window must be set, as max_age is shorter than its default")
		}
		window = c.MaxAge
	}
	c.DuplicateWindow = window
	return nil
}

// requiredLevel is the API level that a server needs to serve the stream.
func (c *StreamConfig) requiredLevel() int {
	switch {
	case c.AllowBatchPublish:
		return 4
	case c.AllowMsgCounter, c.AllowAtomicPublish, c.AllowMsgSchedules, c.PersistMode == PersistAsync:
		return 2
	case c.AllowMsgTTL, c.SubjectDeleteMarkerTTL > 0:
		return 1
	}
	return 0
}

func pedanticErr(text string) *Error { return ErrWith(CodePedantic, "err", text) }
