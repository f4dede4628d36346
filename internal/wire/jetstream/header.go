package jetstream

import (
	"bytes"
	"math"
)

// Key is a bit for each header line of a publish that the server reads.
type Key uint32

// Keys.
const (
	KeyMsgID Key = 1 << iota
	KeyExpectedStream
	KeyExpectedLastSeq
	KeyExpectedLastSubjectSeq
	KeyExpectedLastSubjectSeqSubject
	KeyExpectedLastMsgID
	KeyRollup
	KeyTTL
	KeyIncr
	KeyCounterSources
	KeyStreamSource
	KeyBatchID
	KeyBatchSeq
	KeyBatchCommit
	KeyRequiredAPILevel
	KeySchedule
	KeyScheduleTTL
	KeyScheduleTarget
	KeyScheduleSource
	KeyScheduleRollup
	KeyScheduleTimeZone
	KeyScheduleNext
	KeyScheduler
)

// Rollup says what a message replaces.
type Rollup uint8

// Rollups.
const (
	RollupNone Rollup = iota
	RollupSubject
	RollupAll
	RollupInvalid
)

// TTLNever is the TTL of a message that outlives max_age.
const TTLNever int64 = -1

// PublishHeader is what the header block of a publish asks of the server. Slices
// are borrowed from the block. Numbers count only where their key is set.
type PublishHeader struct {
	Keys           Key
	MsgID          []byte
	ExpectedStream []byte
	LastSeq        uint64 // what is not a number is MaxUint64, which no stream has
	LastSubjectSeq uint64 // the same
	LastSeqSubject []byte // in place of the message's own subject; may hold wildcards
	LastMsgID      []byte
	Rollup         Rollup
	RollupValue    []byte
	TTL            int64 // nanoseconds, whole seconds; TTLNever; 0 when TTLInvalid
	TTLInvalid     bool
	APILevel       []byte
	Incr           []byte
	CounterSources []byte
	StreamSource   []byte
	BatchID        []byte
	BatchSeq       []byte
	BatchCommit    []byte
	schedulePurge  bool

	// Of schedules, see RefuseSchedule.
	Schedule, ScheduleTimeZone, ScheduleTTL, ScheduleRollup, ScheduleTarget, ScheduleSource, Scheduler []byte
}

// Has says whether one of the keys is there with a value.
func (h *PublishHeader) Has(k Key) bool { return h.Keys&k != 0 }

var (
	never = []byte("never")
)

// ParsePublishHeader reads a header block in one pass, without allocating. It
// takes any bytes: what is not a header line is passed over. Of a key that stands
// twice the first counts, and a line without a value is as good as none.
func ParsePublishHeader(block []byte) PublishHeader {
	var h PublishHeader
	h.Parse(block)
	return h
}

// Parse is ParsePublishHeader into a value that the caller reuses.
func (h *PublishHeader) Parse(block []byte) {
	*h = PublishHeader{}
	const prefix = "Nats-"
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n')
		if end < 0 {
			end = len(block) - 1
		}
		line := block[:end+1]
		block = block[end+1:]
		if len(line) <= len(prefix) || string(line[:len(prefix)]) != prefix {
			continue
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		if value := bytes.Trim(line[colon+1:], jsonSpace); len(value) > 0 {
			h.set(line[len(prefix):colon], value)
		}
	}
}

// set stores a line. key is without its prefix.
func (h *PublishHeader) set(key, value []byte) {
	k := keyOf(key)
	if k == 0 || h.Has(k) {
		return
	}
	h.Keys |= k
	switch k {
	case KeyMsgID:
		h.MsgID = value
	case KeyExpectedStream:
		h.ExpectedStream = value
	case KeyExpectedLastSeq:
		h.LastSeq = sequence(value)
	case KeyExpectedLastSubjectSeq:
		h.LastSubjectSeq = sequence(value)
	case KeyExpectedLastSubjectSeqSubject:
		h.LastSeqSubject = value
	case KeyExpectedLastMsgID:
		h.LastMsgID = value
	case KeyRollup:
		h.Rollup, h.RollupValue = rollup(value), value
	case KeyTTL:
		h.TTL, h.TTLInvalid = ttl(value)
	case KeyRequiredAPILevel:
		h.APILevel = value
	case KeyScheduleNext:
		h.schedulePurge = string(value) == "purge"
	default:
		h.setFeature(k, value)
	}
}

// setFeature stores a line of counters, batches and sources.
func (h *PublishHeader) setFeature(k Key, value []byte) {
	switch k {
	case KeyIncr:
		h.Incr = value
	case KeyCounterSources:
		h.CounterSources = value
	case KeyStreamSource:
		h.StreamSource = value
	case KeyBatchID:
		h.BatchID = value
	case KeyBatchSeq:
		h.BatchSeq = value
	case KeyBatchCommit:
		h.BatchCommit = value
	default:
		h.setSchedule(k, value)
	}
}

func (h *PublishHeader) setSchedule(k Key, value []byte) {
	switch k {
	case KeySchedule:
		h.Schedule = value
	case KeyScheduleTimeZone:
		h.ScheduleTimeZone = value
	case KeyScheduleTTL:
		h.ScheduleTTL = value
	case KeyScheduleRollup:
		h.ScheduleRollup = value
	case KeyScheduleTarget:
		h.ScheduleTarget = value
	case KeyScheduleSource:
		h.ScheduleSource = value
	case KeyScheduler:
		h.Scheduler = value
	}
}

// keyOf knows a key by what follows its prefix; 0 for keys that mean nothing here.
func keyOf(key []byte) Key {
	switch string(key) {
	case "Msg-Id":
		return KeyMsgID
	case "Expected-Stream":
		return KeyExpectedStream
	case "Expected-Last-Sequence":
		return KeyExpectedLastSeq
	case "Expected-Last-Subject-Sequence":
		return KeyExpectedLastSubjectSeq
	case "Expected-Last-Subject-Sequence-Subject":
		return KeyExpectedLastSubjectSeqSubject
	case "Expected-Last-Msg-Id":
		return KeyExpectedLastMsgID
	case "Rollup":
		return KeyRollup
	case "TTL":
		return KeyTTL
	case "Required-Api-Level":
		return KeyRequiredAPILevel
	case "Stream-Source":
		return KeyStreamSource
	}
	return featureKey(key)
}

// featureKey knows the keys of counters, batches and schedules.
func featureKey(key []byte) Key {
	switch string(key) {
	case "Incr":
		return KeyIncr
	case "Counter-Sources":
		return KeyCounterSources
	case "Batch-Id":
		return KeyBatchID
	case "Batch-Sequence":
		return KeyBatchSeq
	case "Batch-Commit":
		return KeyBatchCommit
	case "Schedule":
		return KeySchedule
	case "Schedule-TTL":
		return KeyScheduleTTL
	case "Schedule-Target":
		return KeyScheduleTarget
	case "Schedule-Source":
		return KeyScheduleSource
	case "Schedule-Rollup":
		return KeyScheduleRollup
	case "Schedule-Time-Zone":
		return KeyScheduleTimeZone
	case "Schedule-Next":
		return KeyScheduleNext
	case "Scheduler":
		return KeyScheduler
	}
	return 0
}

var rollupSubject, rollupAll = []byte("sub"), []byte("all")

func sequence(value []byte) uint64 {
	n, ok := parseUint(value)
	if !ok {
		return math.MaxUint64
	}
	return n
}

// rollup reads a word in any case.
func rollup(value []byte) Rollup {
	switch {
	case bytes.EqualFold(value, rollupSubject):
		return RollupSubject
	case bytes.EqualFold(value, rollupAll):
		return RollupAll
	}
	return RollupInvalid
}

// ttl reads seconds, a duration of at least one second, or never, in any case.
func ttl(value []byte) (ns int64, invalid bool) {
	const second = 1_000_000_000
	if bytes.EqualFold(value, never) {
		return TTLNever, false
	}
	if n, ok := parseUint(value); ok {
		if n == 0 || n > math.MaxInt64/second {
			return 0, true
		}
		return int64(n) * second, false
	}
	d := parseDuration(value)
	if d < second {
		return 0, true
	}
	return d - d%second, false
}

// Refusals of one publish, as a stream on one node orders them: what each function
// says comes in this order: RefuseIncr, RefuseExpectation, the conditions on
// sequences, RefuseSchedule, RefuseFeature, the duplicate, the last id,
// RefuseRollup, the arithmetic of counters, the size, RefuseSize, the storage,
// RefuseTTL, what the limits say.

// RefuseExpectation refuses the wrong stream, a TTL that the stream does not allow
// and a subject for a sequence that is not there.
func (h *PublishHeader) RefuseExpectation(c *StreamConfig) *Error {
	switch {
	case h.Has(KeyExpectedStream) && !c.Named(h.ExpectedStream):
		return Err(CodeExpectedStreamMismatch)
	case h.Has(KeyTTL) && !h.TTLInvalid && !c.AllowMsgTTL:
		return Err(CodeTTLDisabled)
	case h.Has(KeyExpectedLastSubjectSeqSubject) && !h.Has(KeyExpectedLastSubjectSeq):
		return Err(CodeExpectedSubjectSeqInvalid)
	}
	return nil
}

// RefuseFeature refuses sourcing by a client, and to end a schedule in another way
// than there is or with a message that would go with it. subject is the message's own.
func (h *PublishHeader) RefuseFeature(subject []byte) *Error {
	if h.Has(KeyScheduler|KeyScheduleNext) && !h.Has(KeySchedule) && (!h.EndsSchedule() || string(h.Scheduler) == string(subject)) {
		return Err(CodeSchedulerInvalid)
	}
	if h.Has(KeyStreamSource) {
		return Err(CodeSourceHeaderNotAllowed)
	}
	return nil
}

// EndsSchedule says that the message ends the schedule on the subject Scheduler.
func (h *PublishHeader) EndsSchedule() bool { return h.Has(KeyScheduler) && h.schedulePurge }

// RefuseRollup refuses a rollup that the stream does not allow or that nobody
// knows.
func (h *PublishHeader) RefuseRollup(c *StreamConfig) *Error {
	switch {
	case h.Rollup == RollupNone:
		return nil
	case !c.AllowRollup || c.DenyPurge:
		return errText(CodeRollupFailed, "rollup not permitted")
	case h.Rollup == RollupInvalid:
		return errText(CodeRollupFailed, "rollup value invalid: %q", h.RollupValue)
	}
	return nil
}

// maxHeader is what a stored header block may have, bytes.
const maxHeader = 65535

// RefuseSize refuses a header block that is too long.
func RefuseSize(block []byte) *Error {
	if len(block) > maxHeader {
		return Err(CodeHeaderExceedsMaximum)
	}
	return nil
}

// RefuseTTL refuses a TTL that cannot be read.
func (h *PublishHeader) RefuseTTL() *Error {
	if h.TTLInvalid {
		return Err(CodeTTLInvalid)
	}
	return nil
}

// EffectiveTTL is the TTL of the message in a stream: one that is shorter than that
// of the stream's markers is raised to it, unless each subject has a single message
// anyway.
func (h *PublishHeader) EffectiveTTL(c *StreamConfig) int64 {
	if h.TTL > 0 && c.MaxMsgsPerSubject != 1 {
		return max(h.TTL, int64(c.SubjectDeleteMarkerTTL))
	}
	return h.TTL
}

// RequiredAPILevel refuses a request that needs a higher API level than this
// server's: header is the request's block.
func RequiredAPILevel(header []byte) *Error {
	if len(header) == 0 {
		return nil
	}
	h := ParsePublishHeader(header)
	return h.refuseLevel()
}
