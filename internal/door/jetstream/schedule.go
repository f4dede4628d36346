package jetstream

import (
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// Plan implements stream.Dialect.
func (Dialect) Plan(v *record.View, after int64) stream.Plan {
	if len(v.Header) == 0 {
		return stream.Plan{}
	}
	h := wire.ParsePublishHeader(v.Header)
	p := stream.Plan{By: string(h.Scheduler)}
	if !h.Has(wire.KeySchedule) {
		if h.EndsSchedule() {
			p.Ends = string(h.Scheduler)
		}
		return p
	}
	s, err := wire.ParseSchedule(h.Schedule, h.ScheduleTimeZone)
	if err != nil {
		return p // it was checked when it was stored: the time zone is not here any more
	}
	if next, ok := s.Next(after); ok {
		p.Next, p.Once = next, s.Once()
	}
	p.Target, p.Source = string(h.ScheduleTarget), string(h.ScheduleSource)
	return p
}

// Scheduled implements stream.Dialect.
func (Dialect) Scheduled(v, content *record.View, next int64) record.Parts {
	h := wire.ParsePublishHeader(v.Header)
	p := record.Parts{
		Subject: h.ScheduleTarget, Data: content.Data, TTL: h.ScheduledTTL(),
		Header: h.AppendScheduled(nil, content.Header, string(v.Subject), next),
	}
	if h.Has(wire.KeyScheduleRollup) {
		p.Rollup = record.RollupSubject
	}
	return p
}
