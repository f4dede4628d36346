package liftbridge

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// AckPolicy says when a publisher wants an ack. Values are the protocol's; what is
// none of them counts as AckLeader.
type AckPolicy int32

// Ack policies. An ack means the same with the first two: stable storage.
const (
	AckLeader AckPolicy = 0
	AckAll    AckPolicy = 1
	AckNone   AckPolicy = 2
)

// Header is one header of a message.
type Header struct{ Name, Value []byte }

// Message is what a publisher says in an envelope. Its slices point into the
// envelope when it was decoded.
type Message struct {
	Offset        int64 // that it must get, where that is checked; negative: any
	Key, Value    []byte
	Headers       []Header // of several with one name the last counts
	AckInbox      []byte
	CorrelationID []byte
	AckPolicy     AckPolicy
}

// Fields of the protobuf message.
const (
	fieldOffset        = 1
	fieldKey           = 2
	fieldValue         = 3
	fieldStream        = 5
	fieldSubject       = 7
	fieldReply         = 8
	fieldHeaders       = 9
	fieldAckInbox      = 10
	fieldCorrelationID = 11
	fieldAckPolicy     = 12

	fieldMapName  = 1
	fieldMapValue = 2
)

// DecodePublish reads an envelope of a message into m, whose Headers it uses
// again. It accepts what Liftbridge accepts; the error wraps ErrNotEnvelope.
func DecodePublish(data []byte, m *Message) error {
	t, payload, err := DecodeEnvelope(data)
	if err != nil {
		return err
	}
	if t != TypePublish {
		return fmt.Errorf("%w of a message: type %d", ErrNotEnvelope, t)
	}
	*m = Message{Headers: m.Headers[:0]}
	f := fields{rest: payload}
	for f.next() {
		m.field(&f)
	}
	return f.err
}

// fields goes over the fields of a protobuf message that are varints or bytes.
type fields struct {
	rest []byte
	err  error // why it ended before the message did

	num     protowire.Number
	isBytes bool
	n       uint64 // of a varint
	b       []byte // of bytes
}

// next goes to the next field. false: there is none, or err says why.
func (f *fields) next() bool {
	for len(f.rest) > 0 && f.err == nil {
		num, typ, n := consumeTag(f.rest)
		if n < 0 {
			return f.malformed(n)
		}
		if num > protowire.MaxValidNumber {
			f.err = fmt.Errorf("%w: field number %d", ErrNotEnvelope, num)
			return false
		}
		value := f.rest[n:]
		f.num, f.isBytes = num, typ == protowire.BytesType
		switch typ {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(value)
		case protowire.BytesType:
			f.b, n = consumeBytes(value)
		default:
			n = protowire.ConsumeFieldValue(num, typ, value)
		}
		if n < 0 {
			return f.malformed(n)
		}
		f.rest = value[n:]
		if typ == protowire.VarintType || typ == protowire.BytesType {
			return true
		}
	}
	return false
}

func (f *fields) malformed(n int) bool {
	f.err = fmt.Errorf("%w: %w", ErrNotEnvelope, protowire.ParseError(n))
	return false
}

// text gives the field, or ends with an error where that is no text.
func (f *fields) text() []byte {
	if !utf8.Valid(f.b) {
		f.err = errText
	}
	return f.b
}

// consumeTag and consumeBytes are protowire's, quick where the tag, and the length, are one
// byte: most are.
func consumeTag(b []byte) (protowire.Number, protowire.Type, int) {
	if t := b[0]; t >= 1<<3 && t < 0x80 {
		return protowire.Number(t >> 3), protowire.Type(t & 7), 1
	}
	return protowire.ConsumeTag(b)
}

func consumeBytes(b []byte) ([]byte, int) {
	if len(b) > 0 && b[0] < 0x80 && int(b[0]) < len(b) {
		n := 1 + int(b[0])
		return b[1:n], n
	}
	return protowire.ConsumeBytes(b)
}

var errText = fmt.Errorf("%w: a text that is not UTF-8", ErrNotEnvelope)

func (m *Message) field(f *fields) {
	if !f.isBytes {
		switch f.num {
		case fieldOffset:
			m.Offset = int64(f.n)
		case fieldAckPolicy:
			m.AckPolicy = AckPolicy(f.n)
		}
		return
	}
	switch f.num {
	case fieldKey:
		m.Key = f.b
	case fieldValue:
		m.Value = f.b
	case fieldHeaders:
		m.header(f)
	case fieldAckInbox:
		m.AckInbox = f.text()
	case fieldCorrelationID:
		m.CorrelationID = f.text()
	case fieldStream, fieldSubject, fieldReply:
		f.text()
	}
}

// header adds the header that is in a field.
func (m *Message) header(f *fields) {
	var h Header
	entry := fields{rest: f.b}
	for entry.next() {
		switch {
		case !entry.isBytes:
		case entry.num == fieldMapName:
			h.Name = entry.text()
		case entry.num == fieldMapValue:
			h.Value = entry.b
		}
	}
	if f.err = entry.err; f.err == nil {
		m.Headers = append(m.Headers, h)
	}
}

// AppendPublish appends the envelope of a message.
func AppendPublish(dst []byte, m *Message) []byte { return AppendPublishTo(dst, m, "", "") }

// AppendPublishTo is AppendPublish that says also which stream and subject the message is
// for, to those who read the envelope: DecodePublish passes over that.
func AppendPublishTo(dst []byte, m *Message, stream, subject string) []byte {
	dst = appendHeader(dst, TypePublish)
	dst = appendNumber(dst, fieldOffset, uint64(m.Offset))
	dst = appendBytes(dst, fieldKey, m.Key)
	dst = appendBytes(dst, fieldValue, m.Value)
	dst = appendText(dst, fieldStream, stream)
	dst = appendText(dst, fieldSubject, subject)
	for _, h := range m.Headers {
		dst = appendEntry(dst, h.Name, h.Value)
	}
	dst = appendBytes(dst, fieldAckInbox, m.AckInbox)
	dst = appendBytes(dst, fieldCorrelationID, m.CorrelationID)
	return appendNumber(dst, fieldAckPolicy, uint64(m.AckPolicy))
}

func appendNumber(dst []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(appendTag(dst, field, protowire.VarintType), n)
}

// appendTag is protowire.AppendTag, quick where the tag is one byte: it is in all of these
// messages.
func appendTag(dst []byte, field protowire.Number, t protowire.Type) []byte {
	if field < 16 {
		return append(dst, byte(field)<<3|byte(t))
	}
	return protowire.AppendTag(dst, field, t)
}

func appendText(dst []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return dst
	}
	return protowire.AppendString(appendTag(dst, field, protowire.BytesType), text)
}

func appendBytes(dst []byte, field protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = appendTag(dst, field, protowire.BytesType)
	if len(b) < 0x80 {
		return append(append(dst, byte(len(b))), b...)
	}
	return protowire.AppendBytes(dst, b)
}
