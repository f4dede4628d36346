package jetstream

import (
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// mappings puts what a configuration says of subjects into the log's terms.
func mappings(cfg *wire.StreamConfig) (*stream.Mapping, *stream.Republish) {
	var m *stream.Mapping
	var r *stream.Republish
	if t := cfg.SubjectTransform; t != nil {
		m = &stream.Mapping{Source: t.Source, Target: t.Destination}
	}
	if t := cfg.Republish; t != nil {
		r = &stream.Republish{Mapping: stream.Mapping{Source: t.Source, Target: t.Destination}, HeadersOnly: t.HeadersOnly}
	}
	return m, r
}

// Republished implements stream.Dialect.
func (Dialect) Republished(s *stream.Stream, v *record.View, last uint64, headersOnly bool) ([]byte, bool) {
	if wire.RepublishedBy(v.Header, s.Name()) {
		return nil, false
	}
	r := wire.Republished{Stream: s.Name(), Subject: string(v.Subject), Seq: v.Seq, Last: last, Time: v.Time, Header: v.Header, Size: -1}
	if headersOnly {
		r.Size = len(v.Data)
	}
	return wire.AppendRepublished(nil, &r), true
}
