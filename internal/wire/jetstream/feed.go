package jetstream

import (
	"bytes"
	"strconv"
	"time"
)

// FeedConsumer is a consumer that another stream is copied through.
type FeedConsumer struct {
	Name, Deliver string
	Mirror        bool // a mirror's; else a source's
	Account       string
	Stream        string    // that copies
	Filters       []string  // none: everything
	StartSeq      uint64    // 0: at the start
	StartTime     time.Time // zero: not by time
	FlowControl   bool
}

// feedInactive is after how long a consumer that nobody listens to ends by itself.
const feedInactive = 10 * time.Second

// Request gives the subject, behind the API's prefix, and the body of the request
// that makes it on a stream.
func (f *FeedConsumer) Request(origin string) (subject string, body []byte) {
	cfg := ConsumerConfig{
		Name: f.Name, DeliverSubject: f.Deliver, AckPolicy: AckNone, MaxDeliver: 1, FlowControl: f.FlowControl,
		IdleHeartbeat: time.Second, InactiveThreshold: feedInactive, Replicas: 1, MemoryStorage: true, Direct: true, Sourcing: true,
	}
	switch {
	case f.StartSeq > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = DeliverByStartSequence, f.StartSeq
	case !f.StartTime.IsZero():
		start := f.StartTime.UTC()
		cfg.DeliverPolicy, cfg.OptStartTime = DeliverByStartTime, &start
	}
	kind := "_nats.src."
	if f.Mirror {
		kind = "_nats.mirror."
	}
	cfg.Metadata = map[string]string{kind + "stream": f.Stream, kind + "acc": f.Account}
	subject = "CONSUMER.CREATE." + origin + "." + f.Name
	if len(f.Filters) == 1 {
		cfg.FilterSubject = f.Filters[0]
		subject += "." + f.Filters[0]
	} else {
		cfg.FilterSubjects = f.Filters
	}
	return subject, Encode(&ConsumerCreateRequest{Stream: origin, Config: cfg, Action: ActionCreate})
}

// FeedAnswer is what the request is answered with, or one to reset a consumer.
type FeedAnswer struct {
	Error   *Error `json:"error"`
	Pending uint64 `json:"num_pending"`
	Config  struct {
		AckPolicy string `json:"ack_policy"`
	} `json:"config"`
}

// Unfit says why a stream can not be copied through the consumer that answered, which
// was made beforehand; nil: it can.
func (a *FeedAnswer) Unfit(mirror bool) *Error {
	switch {
	case a.Config.AckPolicy == "flow_control":
		return nil
	case mirror:
		return Err(CodeMirrorConsumerNeedsFlow)
	}
	return Err(CodeSourceConsumerNeedsFlow)
}

// AppendConfirm adds the header block of the answer to a flow-control request of a
// consumer whose messages are acknowledged by that.
func AppendConfirm(dst []byte, consumerSeq, streamSeq uint64) []byte {
	dst = append(dst, "NATS/1.0\r\nNats-Last-Consumer: "...)
	dst = strconv.AppendUint(dst, consumerSeq, 10)
	dst = append(dst, "\r\nNats-Last-Stream: "...)
	dst = strconv.AppendUint(dst, streamSeq, 10)
	return append(dst, "\r\n\r\n"...)
}

// ParseConfirm reads such a header block; ok is false where it says nothing of it.
func ParseConfirm(header []byte) (consumerSeq, streamSeq uint64, ok bool) {
	_, rest, _ := bytes.Cut(header, []byte("\r\n"))
	consumerSeq, streamSeq, _ = lastSequences(rest)
	return consumerSeq, streamSeq, consumerSeq > 0 && streamSeq > 0
}

// lastSequences reads what is said of a consumer's last delivery, and where it waits
// for an answer.
func lastSequences(lines []byte) (consumerSeq, streamSeq uint64, stalled []byte) {
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		key, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(key) {
		case "Nats-Last-Consumer":
			consumerSeq, _ = parseUint(value)
		case "Nats-Last-Stream":
			streamSeq, _ = parseUint(value)
		case "Nats-Consumer-Stalled":
			stalled = value
		}
	}
	return consumerSeq, streamSeq, stalled
}

// Beat is a status that comes between the messages of a consumer that pushes.
type Beat struct {
	Flow         bool // a request to be answered; else a heartbeat
	LastConsumer uint64
	LastStream   uint64
	Stalled      string // where a request that was not answered is to be answered
}

// ParseBeat reads the header block of such a status.
func ParseBeat(header []byte) (Beat, bool) {
	line, rest, _ := bytes.Cut(header, []byte("\r\n"))
	text, ok := bytes.CutPrefix(line, []byte("NATS/1.0 100 "))
	if !ok {
		return Beat{}, false
	}
	b := Beat{Flow: string(text) == StatusFlowControl.Text}
	if !b.Flow && string(text) != StatusIdleHeartbeat.Text {
		return Beat{}, false
	}
	var stalled []byte
	b.LastConsumer, b.LastStream, stalled = lastSequences(rest)
	b.Stalled = string(stalled)
	return b, true
}
