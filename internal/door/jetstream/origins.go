package jetstream

import (
	"errors"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// transformErrors checks a subject transform for the wire package.
func transformErrors(source, destination string) (badSource, badDestination error) {
	_, err := subject.ParseTransform(source, destination)
	if errors.Is(err, subject.ErrTransformSource) {
		return err, nil
	}
	return nil, err
}

// origin puts a mirror or source into the log's terms.
func (d *Door) origin(s *wire.StreamSource) stream.Origin {
	o := stream.Origin{Key: s.Key(), Stream: s.Name, Remote: !s.Local(d.o.Domain), StartSeq: s.OptStartSeq}
	if o.Remote {
		o.API, o.Deliver = s.External.APIPrefix, s.External.DeliverPrefix
	}
	if s.Consumer != nil {
		o.Consumer, o.ConsumerDeliver = s.Consumer.Name, s.Consumer.DeliverSubject
	}
	if s.OptStartTime != nil {
		o.StartTime = unixNano(*s.OptStartTime)
	}
	if s.FilterSubject != "" {
		o.Maps = []stream.Map{{Source: s.FilterSubject}}
	}
	for _, t := range s.SubjectTransforms {
		o.Maps = append(o.Maps, stream.Map{Source: t.Source, Target: t.Destination})
	}
	return o
}

// setOrigins puts the mirror and the sources of a configuration into the log's
// terms.
func (d *Door) setOrigins(c *stream.Config, cfg *wire.StreamConfig) {
	if cfg.Mirror != nil {
		o := d.origin(cfg.Mirror)
		c.Mirror = &o
	}
	for _, s := range cfg.Sources {
		c.Sources = append(c.Sources, d.origin(s))
	}
}

// fitOrigins holds a configuration against the streams that it copies, as far as
// they are here: their messages must fit, and a mirror answers direct gets if its
// origin does.
func (c *call) fitOrigins(cfg *wire.StreamConfig, pedantic bool) *wire.Error {
	fits := func(s *wire.StreamSource) bool {
		o := c.local(s)
		return o == nil || cfg.MaxMsgSize <= 0 || config(o).MaxMsgSize <= 0 || cfg.MaxMsgSize >= config(o).MaxMsgSize
	}
	for _, s := range cfg.Sources {
		if !fits(s) {
			return wire.Err(wire.CodeSourceMaxMsgSize)
		}
	}
	if cfg.Mirror == nil {
		return nil
	}
	if !fits(cfg.Mirror) {
		return wire.Err(wire.CodeMirrorMaxMsgSize)
	}
	if o := c.local(cfg.Mirror); o != nil && config(o).AllowDirect != cfg.MirrorDirect {
		if pedantic {
			return wire.ErrWith(wire.CodePedantic, "err", "mirror_direct must be what allow_direct of the origin is")
		}
		cfg.MirrorDirect = config(o).AllowDirect
	}
	return nil
}

// local finds the stream that a mirror or source names; nil if it is not here.
func (c *call) local(s *wire.StreamSource) *stream.Stream {
	if !s.Local(c.o.Domain) {
		return nil
	}
	return c.dir.Find(c.space.Name(), s.Name)
}

// addOrigins describes how far a stream's origins are copied.
func addOrigins(info *wire.StreamInfo, s *stream.Stream) {
	cfg := config(s)
	origins := s.Origins()
	if cfg.Mirror != nil && len(origins) == 1 {
		info.Mirror = originInfo(cfg.Mirror, &origins[0], wire.CodeMirrorConsumerSetupFailed)
		return
	}
	if len(origins) != len(cfg.Sources) {
		return // it has just been changed
	}
	for i := range origins {
		info.Sources = append(info.Sources, originInfo(cfg.Sources[i], &origins[i], wire.CodeSourceConsumerSetupFailed))
	}
}

func originInfo(s *wire.StreamSource, o *stream.OriginInfo, failed int) *wire.StreamSourceInfo {
	i := &wire.StreamSourceInfo{
		Name: s.Name, External: s.External, Lag: o.Lag, Active: -1,
		FilterSubject: s.FilterSubject, SubjectTransforms: s.SubjectTransforms,
	}
	if o.Active != 0 {
		i.Active = max(time.Duration(time.Now().UnixNano()-o.Active), 0)
	}
	var said *wire.Error
	switch {
	case o.Err == nil:
	case errors.As(o.Err, &said):
		i.Error = said
	case errors.Is(o.Err, stream.ErrNoOrigin):
		i.Error = wire.Err(wire.CodeStreamNotFound)
	case errors.Is(o.Err, stream.ErrTwoStarts):
		i.Error = wire.Err(wire.CodeMirrorWithStartSeqAndTime)
	default:
		i.Error = wire.ErrWith(failed, "err", o.Err.Error())
	}
	return i
}

// closeEnough is how many messages a mirror may lack that answers for its origin.
const closeEnough = 10

// directStream finds the stream that answers direct gets for a name: the one that has it,
// or a mirror of it that may and is close; nil if there is none.
func (c *call) directStream() *stream.Stream {
	s := c.dir.Find(c.space.Name(), c.Stream)
	if s != nil && config(s).AllowDirect {
		return s
	}
	for _, m := range c.dir.List(c.space.Name()) {
		cfg := config(m)
		if cfg.Mirror == nil || !cfg.MirrorDirect || cfg.Mirror.Name != c.Stream {
			continue
		}
		if o := m.Origins(); len(o) == 1 && o[0].Lag <= closeEnough && m.Partition().Committed() > 0 {
			return m
		}
	}
	return nil
}

// Copied implements stream.Dialect.
func (Dialect) Copied(s *stream.Stream, o *stream.Origin, v *record.View, from []byte, c *partition.Conditions) record.Parts {
	cfg := config(s)
	p := record.Parts{Subject: v.Subject, Header: v.Header, Data: v.Data, Key: v.Key}
	if key := keyOf(s, v.Header); key != nil {
		p.Key = key
	}
	if cfg.AllowRollup && !cfg.DenyPurge {
		p.Rollup = v.Rollup
	}
	if cfg.AllowMsgTTL {
		p.TTL = v.TTL
	}
	if cfg.Mirror != nil {
		return p
	}
	h := wire.ParsePublishHeader(v.Header)
	if p.TTL != 0 {
		h.TTL = p.TTL
		p.TTL = h.EffectiveTTL(cfg)
	}
	if cfg.DuplicateWindow > 0 && h.Has(wire.KeyMsgID) {
		c.HasID, c.ID = true, hashID(s, h.MsgID)
	}
	c.Rollup, c.TTL = p.Rollup, p.TTL
	p.Header = wire.AppendSourced(nil, v.Header, o.Key, v.Seq, from)
	return p
}
