package jetstream

import (
	"bytes"
	"time"

	"github.com/weirmq/weir/internal/consumer"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// pullRequest reads the body of a pull request. A status with a code refuses it; what
// its consumer allows is the core's to check.
func (d *Door) pullRequest(reply string, body []byte) (*consumer.Request, wire.Status) {
	p, bad, ok := wire.ParsePull(body)
	if !ok {
		return nil, bad
	}
	if d.o.MaxRequestBatch > 0 && p.Batch > d.o.MaxRequestBatch {
		return nil, wire.StatusExceededBatch(d.o.MaxRequestBatch)
	}
	return &consumer.Request{
		Reply: reply, Batch: p.Batch, MaxBytes: p.MaxBytes, NoWait: p.NoWait,
		Expires: time.Duration(p.Expires), Heartbeat: time.Duration(p.Heartbeat),
		Group: p.Group, ID: p.ID, MinPending: p.MinPending, MinAckPending: p.MinAckPending, Priority: p.Priority,
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
