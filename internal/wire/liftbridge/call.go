package liftbridge

import (
	"bytes"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of gRPC calls of which there are very many: what pb's types make of them
// costs several times what is here.

// Request is what a client publishes in a call (PublishRequest).
type Request struct {
	Stream    []byte
	Partition int32
	Message
}

const (
	requestKey           = 1
	requestValue         = 2
	requestStream        = 3
	requestPartition     = 4
	requestHeaders       = 5
	requestAckInbox      = 6
	requestCorrelationID = 7
	requestAckPolicy     = 8
	requestOffset        = 9
)

// DecodeRequest reads a request into r, whose slices then point into data and whose
// Headers it uses again. It accepts what Protobuf accepts.
func DecodeRequest(data []byte, r *Request) error {
	*r = Request{Message: Message{Headers: r.Headers[:0]}}
	f := fields{rest: data}
	for f.next() {
		r.field(&f)
	}
	return f.err
}

func (r *Request) field(f *fields) {
	if !f.isBytes {
		switch f.num {
		case requestPartition:
			r.Partition = int32(f.n)
		case requestAckPolicy:
			r.AckPolicy = AckPolicy(f.n)
		case requestOffset:
			r.Offset = int64(f.n)
		}
		return
	}
	switch f.num {
	case requestKey:
		r.Key = f.b
	case requestValue:
		r.Value = f.b
	case requestHeaders:
		r.header(f)
	case requestStream:
		r.Stream = f.text()
	case requestAckInbox:
		r.AckInbox = f.text()
	case requestCorrelationID:
		r.CorrelationID = f.text()
	}
}

// Refusal is why a message that was published in a call is not stored. Code is of
// PublishAsyncError.
type Refusal struct {
	Code int32
	Text string
}

const (
	responseAck           = 1
	responseError         = 2
	responseCorrelationID = 3

	errorCode = 1
	errorText = 2
)

// AppendResponse appends the answer to a message (PublishResponse): its ack, or why
// there is none, with an empty ack.
func AppendResponse(dst []byte, a *Ack, why *Refusal, correlation []byte) []byte {
	dst = protowire.AppendTag(dst, responseAck, protowire.BytesType)
	from := len(dst)
	if why == nil {
		dst = appendAck(dst, a)
	}
	dst = measured(dst, from)
	if why != nil {
		dst = protowire.AppendTag(dst, responseError, protowire.BytesType)
		from = len(dst)
		dst = appendNumber(dst, errorCode, uint64(why.Code))
		dst = appendBytes(dst, errorText, []byte(why.Text))
		dst = measured(dst, from)
	}
	return appendBytes(dst, responseCorrelationID, correlation)
}

// measured puts the length of what was appended since from before it.
func measured(dst []byte, from int) []byte {
	n := uint64(len(dst) - from)
	size := protowire.SizeVarint(n)
	for range size {
		dst = append(dst, 0)
	}
	copy(dst[from+size:], dst[from:])
	protowire.AppendVarint(dst[:from], n)
	return dst
}

// Delivered is a message as a subscriber gets it (Message).
type Delivered struct {
	Offset, Time               int64
	Partition                  int32
	Stream                     string
	Key, Value, Subject, Reply []byte
	Headers                    []Header // each name once
}

// Fields of the message besides those of an envelope.
const (
	fieldTimestamp = 4
	fieldPartition = 6
)

// text is what stands for bytes where Protobuf takes only UTF-8: NATS clients may publish
// any, and one such message must not keep readers from those behind it.
func text(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return bytes.ToValidUTF8(b, []byte("\uFFFD"))
}

// AppendDelivered appends a message. Headers SubjectHeader and ReplyHeader say of which
// subject it is, whatever the publisher had there, and as it is: elsewhere U+FFFD stands
// for what is not UTF-8 of a subject, a reply or the name of a header.
func AppendDelivered(dst []byte, m *Delivered) []byte {
	dst = appendNumber(dst, fieldOffset, uint64(m.Offset))
	dst = appendBytes(dst, fieldKey, m.Key)
	dst = appendBytes(dst, fieldValue, m.Value)
	dst = appendNumber(dst, fieldTimestamp, uint64(m.Time))
	if m.Stream != "" {
		dst = protowire.AppendString(protowire.AppendTag(dst, fieldStream, protowire.BytesType), m.Stream)
	}
	dst = appendNumber(dst, fieldPartition, uint64(m.Partition))
	dst = appendBytes(dst, fieldSubject, text(m.Subject))
	dst = appendBytes(dst, fieldReply, text(m.Reply))
	for i := range m.Headers {
		switch h := &m.Headers[i]; string(h.Name) {
		case SubjectHeader, ReplyHeader:
		default:
			dst = appendEntry(dst, text(h.Name), h.Value)
		}
	}
	dst = appendEntry(dst, SubjectHeader, m.Subject)
	return appendEntry(dst, ReplyHeader, m.Reply)
}

// appendEntry appends one header, as an entry of the map fieldHeaders.
func appendEntry[T ~string | ~[]byte](dst []byte, name T, value []byte) []byte {
	dst = protowire.AppendTag(dst, fieldHeaders, protowire.BytesType)
	n := protowire.SizeTag(fieldMapName) + protowire.SizeBytes(len(name)) +
		protowire.SizeTag(fieldMapValue) + protowire.SizeBytes(len(value))
	dst = protowire.AppendVarint(dst, uint64(n))
	dst = protowire.AppendTag(dst, fieldMapName, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(len(name)))
	dst = append(dst, name...)
	dst = protowire.AppendTag(dst, fieldMapValue, protowire.BytesType)
	return protowire.AppendBytes(dst, value)
}
