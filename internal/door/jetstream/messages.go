package jetstream

import (
	"errors"
	"strconv"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func msgDelete(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodeMsgDelete(c.body)
	if werr != nil {
		return nil, werr
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	switch cfg := config(s); {
	case cfg.Sealed:
		return nil, wire.Err(wire.CodeStreamSealed)
	case cfg.DenyDelete:
		return nil, wire.ErrWith(wire.CodeMsgDeleteFailed, "err", "message delete not permitted")
	}
	err := s.Delete(c.ctx, r.Seq)
	switch {
	case errors.Is(err, stream.ErrNotFound):
		return nil, wire.ErrWith(wire.CodeSequenceNotFound, "seq", strconv.FormatUint(r.Seq, 10))
	case err != nil:
		return nil, c.failed(wire.CodeMsgDeleteFailed, err)
	}
	return &wire.SuccessResponse{Response: c.Kind.Head(nil), Success: true}, nil
}

// find reads the message that a request names.
func find(p *partition.Partition, r *wire.MsgGetRequest) (record.View, error) {
	from := r.Seq
	if r.StartTime != nil {
		seq, err := p.SeekTime(unixNano(*r.StartTime))
		if err != nil {
			return record.View{}, err
		}
		from = seq
	}
	switch {
	case r.LastFor != "":
		return p.LastOf(r.LastFor)
	case r.NextFor != "":
		return p.NextOf(r.NextFor, from)
	case r.StartTime != nil:
		return p.NextOf("", from)
	}
	return p.Get(r.Seq)
}

func msgGet(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodeMsgGet(c.body)
	if werr != nil {
		return nil, werr
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	v, err := find(s.Partition(), r)
	switch {
	case errors.Is(err, partition.ErrNotFound):
		return nil, wire.Err(wire.CodeNoMessageFound)
	case err != nil:
		return nil, c.failed(wire.CodeStoreFailed, err)
	}
	m := &wire.StoredMsg{Subject: string(v.Subject), Sequence: v.Seq, Data: v.Data, Time: wire.Time(v.Time)}
	if !r.NoHeader {
		m.Header = v.Header
	}
	return &wire.MsgGetResponse{Response: c.Kind.Head(nil), Message: m}, nil
}

// unreachable answers a request as if nobody had subscribed to it.
func unreachable(r *broker.Request) {
	r.Respond(wire.AppendStatus(nil, wire.Status{Code: 503}), nil)
}

// directGet answers with a message, or several, or a status.
func directGet(c *call, r *broker.Request) {
	s := c.directStream()
	if s == nil {
		unreachable(r)
		return
	}
	if err := s.Settle(c.ctx); err != nil {
		c.log.Warn("request answered before all was durable", "account", c.space.Name(), "stream", s.Name(), "error", err)
	}
	req, bad := c.decoder.DecodeDirectGet(c.Filter, c.body)
	if bad.Code != 0 {
		r.Respond(wire.AppendStatus(nil, bad), nil)
		return
	}
	d := direct{s: s, p: s.Partition(), r: r, req: req}
	switch {
	case len(req.MultiFor) > 0:
		d.multi()
	case req.Batch > 0:
		d.batch()
	default:
		v, err := find(d.p, req)
		switch {
		case errors.Is(err, partition.ErrNotFound):
			d.status(wire.StatusMessageNotFound)
			return
		case err != nil:
			c.log.Error("message not read", "account", c.space.Name(), "stream", c.Stream, "error", err)
			d.status(wire.Status{Code: 500, Text: "Message Not Readable"})
			return
		}
		d.send(&v, wire.DirectInfo{})
	}
}

// direct is one direct get being answered.
type direct struct {
	s     *stream.Stream
	p     *partition.Partition
	r     *broker.Request
	req   *wire.MsgGetRequest
	last  uint64 // sequence sent last
	sent  int    // bytes
	count int    // messages
}

func (d *direct) status(s wire.Status) { d.r.Respond(wire.AppendStatus(nil, s), nil) }

// send answers with one message.
func (d *direct) send(v *record.View, i wire.DirectInfo) {
	i.Stream, i.Subject, i.Seq, i.Time = d.s.Name(), v.Subject, v.Seq, v.Time
	if d.req.NoHeader {
		d.r.Respond(nil, v.Data)
	} else {
		d.r.Respond(wire.AppendDirect(nil, v.Header, &i), v.Data)
	}
	d.last = v.Seq
	d.count++
	d.sent += len(v.Subject) + len(v.Header) + len(v.Data)
}

// full says whether the answer has as many bytes as it may have.
func (d *direct) full() bool {
	most := d.req.MaxBytes
	if most <= 0 {
		most = wire.DefaultDirectMaxBytes
	}
	return d.sent > most
}

// batch answers with several messages in order.
func (d *direct) batch() {
	from := max(d.req.Seq, d.p.First())
	if d.req.StartTime != nil {
		seq, err := d.p.SeekTime(unixNano(*d.req.StartTime))
		if err != nil {
			d.status(wire.StatusMessageNotFound)
			return
		}
		from = seq
	}
	left := d.p.CountLive(from, d.p.Committed())
	if d.req.NextFor != "" && d.req.NextFor != ">" {
		left = d.matching(from)
	}
	for n := 0; n < d.req.Batch && !d.full(); n++ {
		v, err := d.p.NextOf(d.req.NextFor, from)
		if err != nil {
			break
		}
		left -= min(left, 1)
		d.send(&v, wire.DirectInfo{Batch: true, Pending: left, LastSeq: d.last})
		from = v.Seq + 1
	}
	if d.last == 0 {
		d.status(wire.StatusMessageNotFound)
		return
	}
	d.r.Respond(wire.AppendEndOfBatch(nil, left, d.last, 0), nil)
}

// matching is how many messages of the request's subjects there are from a sequence
// on.
func (d *direct) matching(from uint64) uint64 {
	if from <= d.p.First() {
		return d.p.CountMatching(d.req.NextFor)
	}
	var n uint64
	for {
		v, err := d.p.NextOf(d.req.NextFor, from)
		if err != nil {
			return n
		}
		n++
		from = v.Seq + 1
	}
}

// multi answers with the last message of each of many subjects.
func (d *direct) multi() {
	upTo := d.p.Committed()
	switch {
	case d.req.UpToSeq > 0:
		upTo = min(upTo, d.req.UpToSeq)
	case d.req.UpToTime != nil:
		if seq, err := d.p.SeekTime(unixNano(*d.req.UpToTime)); err == nil {
			upTo = seq - 1
		}
	}
	seqs := d.p.LastSequences(d.req.MultiFor, upTo, wire.MaxMultiSubjects+1)
	switch {
	case len(seqs) == 0:
		d.status(wire.StatusNoResults)
		return
	case len(seqs) > wire.MaxMultiSubjects:
		d.status(wire.StatusTooManyResults)
		return
	}
	left := uint64(len(seqs))
	for _, seq := range seqs {
		if seq < d.req.Seq {
			left--
			continue
		}
		if d.req.Batch > 0 && d.count >= d.req.Batch || d.full() {
			break
		}
		v, err := d.p.Get(seq)
		if err != nil {
			continue
		}
		left--
		d.send(&v, wire.DirectInfo{Batch: true, Pending: left, LastSeq: d.last})
	}
	d.r.Respond(wire.AppendEndOfBatch(nil, left, d.last, upTo), nil)
}
