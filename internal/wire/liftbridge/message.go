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
	return eachField(payload, m.field)
}

// eachField calls f for each field of a protobuf message: a number for varints, or
// bytes. It is given no fields of other kinds.
func eachField(b []byte, f func(num protowire.Number, n uint64, bytes []byte, isBytes bool) error) error {
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrNotEnvelope, protowire.ParseError(n))
		}
		if num > protowire.MaxValidNumber {
			return fmt.Errorf("%w: field number %d", ErrNotEnvelope, num)
		}
		b = b[n:]
		var err error
		switch typ {
		case protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(b); n >= 0 {
				err = f(num, v, nil, false)
			}
		case protowire.BytesType:
			var v []byte
			if v, n = consumeBytes(b); n >= 0 {
				err = f(num, 0, v, true)
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrNotEnvelope, protowire.ParseError(n))
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
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

func (m *Message) field(num protowire.Number, n uint64, b []byte, isBytes bool) error {
	if !isBytes {
		switch num {
		case fieldOffset:
			m.Offset = int64(n)
		case fieldAckPolicy:
			m.AckPolicy = AckPolicy(n)
		}
		return nil
	}
	switch num {
	case fieldKey:
		m.Key = b
	case fieldValue:
		m.Value = b
	case fieldHeaders:
		return m.header(b)
	case fieldAckInbox, fieldCorrelationID, fieldStream, fieldSubject, fieldReply:
		if !utf8.Valid(b) {
			return errText
		}
		switch num {
		case fieldAckInbox:
			m.AckInbox = b
		case fieldCorrelationID:
			m.CorrelationID = b
		}
	}
	return nil
}

func (m *Message) header(entry []byte) error {
	var h Header
	err := eachField(entry, func(num protowire.Number, _ uint64, b []byte, isBytes bool) error {
		switch {
		case !isBytes:
		case num == fieldMapName:
			if !utf8.Valid(b) {
				return errText
			}
			h.Name = b
		case num == fieldMapValue:
			h.Value = b
		}
		return nil
	})
	if err == nil {
		m.Headers = append(m.Headers, h)
	}
	return err
}

// AppendPublish appends the envelope of a message.
func AppendPublish(dst []byte, m *Message) []byte {
	dst = appendHeader(dst, TypePublish)
	dst = appendNumber(dst, fieldOffset, uint64(m.Offset))
	dst = appendBytes(dst, fieldKey, m.Key)
	dst = appendBytes(dst, fieldValue, m.Value)
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
