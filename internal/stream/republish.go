package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// Republish publishes again what was stored, once that is durable.
type Republish struct {
	Mapping
	HeadersOnly bool `json:"headers_only,omitempty"`
}

// Mapping gives other subjects to those that a pattern matches, see
// subject.ParseTransform.
type Mapping struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// setMappings makes what the configuration says of subjects ready for use.
func (s *Stream) setMappings(c *Config) error {
	var mapping, republish *subject.Transform
	var err error
	if m := c.Mapping; m != nil {
		if mapping, err = subject.ParseTransform(m.Source, m.Target); err != nil {
			return fmt.Errorf("mapping of stream %q: %w", s.spec.Name, err)
		}
	}
	if r := c.Republish; r != nil {
		if republish, err = subject.ParseTransform(r.Source, r.Target); err != nil {
			return fmt.Errorf("republishing of stream %q: %w", s.spec.Name, err)
		}
	}
	s.mapping.Store(mapping)
	s.republish.Store(republish)
	return nil
}

// mapped is the subject that a record is stored with. buf is used for it.
func (s *Stream) mapped(buf, name []byte) []byte {
	t := s.mapping.Load()
	if t == nil {
		return name
	}
	out, ok := t.Append(buf[:0], string(name), rand.Uint32())
	if !ok || !subject.ValidLiteral(string(out)) {
		return name
	}
	return out
}

// repeat is a message to publish again, if it is stored.
type repeat struct {
	record int // of the batch
	to     []byte
	view   record.View
}

// keepRepeats copies what of a batch is to be published again: when it is durable
// its bytes may be gone.
func (b *staged) keepRepeats(now int64) {
	t := b.stream.republish.Load()
	if t == nil {
		return
	}
	for i := range b.Area.Len() {
		v := b.Area.View(i)
		to, ok := t.Append(nil, string(v.Subject), rand.Uint32())
		if !ok || !subject.ValidLiteral(string(to)) {
			continue
		}
		b.repeats = append(b.repeats, repeat{record: i, to: to, view: record.View{
			Time: now, Subject: bytes.Clone(v.Subject), Header: bytes.Clone(v.Header), Data: bytes.Clone(v.Data),
		}})
	}
}

// publishAgain publishes what is stored of a batch's repeats.
func (b *staged) publishAgain(p *broker.Publisher) {
	s := b.stream
	c := s.config.Load()
	for i := range b.repeats {
		r := &b.repeats[i]
		o := b.Outcomes[r.record]
		if o.Refusal != partition.Accepted {
			continue
		}
		v, err := s.part.Get(o.Seq)
		switch {
		case err == nil:
			r.view.Time = v.Time
		case c.Retention == RetainByInterest && !c.Async:
			continue // nobody needed it: it was never kept
		}
		r.view.Seq = o.Seq
		if o.Of != nil && o.Of.Amended != nil {
			r.view.Header, r.view.Data = o.Of.Amended.Header, o.Of.Amended.Data
		}
		m := broker.Message{Subject: r.to, Data: r.view.Data}
		var ok bool
		if m.Header, ok = s.dialect.Republished(s, &r.view, o.Detail, c.Republish != nil && c.Republish.HeadersOnly); !ok {
			continue
		}
		if c.Republish != nil && c.Republish.HeadersOnly {
			m.Data = nil
		}
		p.Publish(&m)
	}
}
