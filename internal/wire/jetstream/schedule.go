package jetstream

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is when a message wants to be published. Its forms, after ADR-51: "@at"
// and a time, once; "@every" and a duration of at least a second; "@yearly",
// "@monthly", "@weekly", "@daily", "@hourly" and their other names; six fields of
// cron, from seconds to weekdays.
type Schedule struct {
	at    time.Time     // of "@at"
	every time.Duration // of "@every"
	cron  cron.Schedule // of the others
	zone  *time.Location
}

var errSchedule = errors.New("not a schedule")

// errZone says that the time zone is not known.
var errZone = errors.New("not a time zone")

var (
	cronParser = cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	aliases    = map[string]string{
		"@yearly": "0 0 0 1 1 *", "@annually": "0 0 0 1 1 *", "@monthly": "0 0 0 1 * *", "@weekly": "0 0 0 * * 0",
		"@daily": "0 0 0 * * *", "@midnight": "0 0 0 * * *", "@hourly": "0 0 * * * *",
	}
)

// ParseSchedule reads a pattern and the name of the time zone that it is meant in;
// empty: UTC. Only the forms of cron may have one. The bytes are not kept.
func ParseSchedule(pattern, zone []byte) (Schedule, error) {
	p := string(pattern)
	s := Schedule{zone: time.UTC}
	if len(zone) > 0 {
		var err error
		if s.zone, err = time.LoadLocation(string(zone)); err != nil {
			return Schedule{}, fmt.Errorf("%w: %w", errZone, err)
		}
	}
	if rest, ok := strings.CutPrefix(p, "@at "); ok {
		at, err := time.Parse(time.RFC3339, rest)
		return Schedule{at: at.UTC()}, scheduleErr(err, zone)
	}
	if rest, ok := strings.CutPrefix(p, "@every "); ok {
		every, err := time.ParseDuration(rest)
		if err == nil && every < time.Second {
			err = fmt.Errorf("every %v", every)
		}
		return Schedule{every: every}, scheduleErr(err, zone)
	}
	spec, known := aliases[p]
	if !known {
		spec = p
	}
	if strings.HasPrefix(spec, "@") || strings.Contains(spec, "TZ=") {
		return Schedule{}, errSchedule
	}
	var err error
	if s.cron, err = cronParser.Parse(spec); err != nil {
		return Schedule{}, fmt.Errorf("%w: %w", errSchedule, err)
	}
	return s, nil
}

// scheduleErr judges a form that has no time zone.
func scheduleErr(err error, zone []byte) error {
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errSchedule, err)
	case len(zone) > 0:
		return fmt.Errorf("%w: it has no time zone", errSchedule)
	}
	return nil
}

// Once says that it is for one time only.
func (s *Schedule) Once() bool { return !s.at.IsZero() }

// Next is the first time after that of the message or of the last publication,
// all in Unix nanoseconds; ok is false where there is none within five years.
func (s *Schedule) Next(after int64) (next int64, ok bool) {
	switch {
	case s.Once():
		return s.at.UnixNano(), true
	case s.every > 0:
		return time.Unix(0, after).Round(time.Second).Add(s.every).UnixNano(), true
	}
	t := s.cron.Next(time.Unix(0, after).In(s.zone))
	return t.UnixNano(), !t.IsZero()
}

// RefuseSchedule refuses what a message says of its schedule. now is Unix
// nanoseconds, subject the message's own.
func (h *PublishHeader) RefuseSchedule(c *StreamConfig, subject []byte, now int64) *Error {
	if !h.Has(KeySchedule) {
		return nil
	}
	if !c.AllowMsgSchedules {
		return Err(CodeSchedulesDisabled)
	}
	s, err := ParseSchedule(h.Schedule, h.ScheduleTimeZone)
	if errors.Is(err, errZone) {
		return Err(CodeScheduleZoneInvalid)
	}
	if err == nil {
		if _, ok := s.Next(now); !ok {
			err = errSchedule
		}
	}
	if err != nil {
		return Err(CodeSchedulePatternInvalid)
	}
	if h.Has(KeyScheduleTTL) {
		if _, invalid := ttl(h.ScheduleTTL); invalid {
			return Err(CodeScheduleTTLInvalid)
		}
	}
	switch {
	case h.Has(KeyScheduleRollup) && string(h.ScheduleRollup) != "sub":
		return Err(CodeScheduleRollupInvalid)
	case h.Has(KeyScheduleTTL) && !c.AllowMsgTTL:
		return Err(CodeTTLDisabled)
	case !c.scheduled(h.ScheduleTarget, subject):
		return Err(CodeScheduleTargetInvalid)
	case h.Has(KeyScheduleSource) && (!c.scheduled(h.ScheduleSource, subject) || string(h.ScheduleSource) == string(h.ScheduleTarget)):
		return Err(CodeScheduleSourceInvalid)
	case h.Rollup != RollupNone && h.Rollup != RollupSubject:
		return Err(CodeScheduleRollupInvalid)
	}
	return nil
}

// scheduled says whether a subject that is not the message's own is literal and one
// of the stream's.
func (c *StreamConfig) scheduled(subject, own []byte) bool {
	if len(subject) == 0 || string(subject) == string(own) || !literalSubject(string(subject)) {
		return false
	}
	for _, pattern := range c.Subjects {
		if subjectContains(pattern, string(subject)) {
			return true
		}
	}
	return false
}

// scheduledDrops are the prefixes of keys that a scheduled message does not take
// over.
var scheduledDrops = []string{"Nats-Schedule", "Nats-Expected-", "Nats-Msg-Id", "Nats-TTL", "Nats-Rollup"}

// AppendScheduled adds the header block of a message that a schedule publishes: the
// lines of from that are not about how it was stored, and who published it. next is
// the time of the next one, Unix nanoseconds; 0: there is none.
func (h *PublishHeader) AppendScheduled(dst, from []byte, scheduler string, next int64) []byte {
	dst = append(dst, "NATS/1.0\r\n"...)
	lines := strings.Split(string(from), "\r\n")
	for _, line := range lines[min(1, len(lines)):] {
		key, _, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		drop := false
		for _, prefix := range scheduledDrops {
			drop = drop || strings.HasPrefix(key, prefix)
		}
		if !drop {
			dst = append(append(dst, line...), "\r\n"...)
		}
	}
	dst = append(append(append(dst, "Nats-Scheduler: "...), scheduler...), "\r\nNats-Schedule-Next: "...)
	if next == 0 {
		dst = append(dst, "purge"...)
	} else {
		dst = appendTime(dst, next)
	}
	if h.Has(KeyScheduleTTL) {
		dst = append(append(dst, "\r\nNats-TTL: "...), h.ScheduleTTL...)
	}
	if h.Has(KeyScheduleRollup) {
		dst = append(append(dst, "\r\nNats-Rollup: "...), h.ScheduleRollup...)
	}
	return append(dst, "\r\n\r\n"...)
}

// ScheduledTTL is that of the messages that the schedule publishes.
func (h *PublishHeader) ScheduledTTL() int64 {
	ns, _ := ttl(h.ScheduleTTL)
	return ns
}
