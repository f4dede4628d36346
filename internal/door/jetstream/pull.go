package jetstream

import (
	"bytes"
	"time"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// pullRequest reads the body of a pull request for a consumer. A status with a
// code refuses it.
func (d *Door) pullRequest(c *stream.Consumer, reply string, body []byte) (*consumer.Request, wire.Status) {
	p, bad, ok := wire.ParsePull(body)
	if !ok {
		return nil, bad
	}
	core := &c.Config().Core
	switch {
	case core.MaxBatch > 0 && p.Batch > core.MaxBatch:
		return nil, wire.StatusExceededBatch(core.MaxBatch)
	case d.o.MaxRequestBatch > 0 && p.Batch > d.o.MaxRequestBatch:
		return nil, wire.StatusExceededBatch(d.o.MaxRequestBatch)
	case core.MaxExpires > 0 && p.Expires > int64(core.MaxExpires):
		return nil, wire.StatusExceededExpires(core.MaxExpires)
	case core.MaxBytes > 0 && p.MaxBytes > core.MaxBytes:
		return nil, wire.StatusExceededMaxBytes(core.MaxBytes)
	}
	return &consumer.Request{
		Reply: reply, Batch: p.Batch, MaxBytes: p.MaxBytes, NoWait: p.NoWait,
		Expires: time.Duration(p.Expires), Heartbeat: time.Duration(p.Heartbeat),
	}, wire.Status{}
}

// nextSubject reads the subject of a pull request, in the domain or outside any.
func (d *Door) nextSubject(subject []byte) (streamName, name []byte, ok bool) {
	if streamName, name, ok = wire.ParseMsgNext(subject); ok || d.o.Domain == "" {
		return streamName, name, ok
	}
	prefix := "$JS." + d.o.Domain + ".API.CONSUMER.MSG.NEXT."
	rest, ok := bytes.CutPrefix(subject, []byte(prefix))
	if !ok {
		return nil, nil, false
	}
	return bytes.Cut(rest, []byte("."))
}
