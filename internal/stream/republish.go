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

// repeats copies to dst what of an area is to be published again: when it is durable
// its bytes may be gone. A view has no sequence, and now as its time.
func (s *Stream) repeats(dst []repeat, a *record.Area, now int64) []repeat {
	t := s.republish.Load()
	if t == nil {
		return dst
	}
	for i := range a.Len() {
		v := a.View(i)
		to, ok := t.Append(nil, string(v.Subject), rand.Uint32())
		if !ok || !subject.ValidLiteral(string(to)) {
			continue
		}
		dst = append(dst, repeat{record: i, to: to, view: record.View{
			Time: now, Subject: bytes.Clone(v.Subject), Header: bytes.Clone(v.Header), Data: bytes.Clone(v.Data),
		}})
	}
	return dst
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
		s.repeat(p, r, o.Detail)
	}
}

// repeat publishes again. last is the sequence before it on its subject, 0: none.
func (s *Stream) repeat(p *broker.Publisher, r *repeat, last uint64) {
	c := s.config.Load().Republish
	m := broker.Message{Subject: r.to, Data: r.view.Data}
	var ok bool
	if m.Header, ok = s.dialect.Republished(s, &r.view, last, c != nil && c.HeadersOnly); !ok {
		return
	}
	if c != nil && c.HeadersOnly {
		m.Data = nil
	}
	p.Publish(&m)
}

// publishCopies publishes again what a mirror has stored, in the order of the log.
func (s *Stream) publishCopies(p *broker.Publisher, repeats []repeat) {
	before := map[string]uint64{}
	for i := range repeats {
		r := &repeats[i]
		name := string(r.view.Subject)
		last, known := before[name]
		if !known {
			for _, seq := range s.part.LastSequences([]string{name}, r.view.Seq-1, 1) {
				last = seq
			}
		}
		before[name] = r.view.Seq
		s.repeat(p, r, last)
	}
}
