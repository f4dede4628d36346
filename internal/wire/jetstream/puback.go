package jetstream

import (
	"strconv"
	"unicode/utf8"
)

// PubAck acknowledges a publish: the stream that has it and its sequence there. What
// is empty is left out.
type PubAck struct {
	Stream    string
	Seq       uint64 // a duplicate's is that of the first
	Domain    string
	Duplicate bool
	Value     string // the total of a counter
	Batch     string // the id of a batch, Count how many messages it has
	Count     uint64
}

// Append adds the acknowledgement.
func (a *PubAck) Append(dst []byte) []byte {
	dst = append(dst, `{"stream":`...)
	dst = appendString(dst, a.Stream)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, a.Seq, 10)
	if a.Domain != "" {
		dst = append(dst, `,"domain":`...)
		dst = appendString(dst, a.Domain)
	}
	if a.Duplicate {
		dst = append(dst, `,"duplicate": true`...)
	}
	if a.Value != "" {
		dst = append(dst, `,"val":`...)
		dst = appendString(dst, a.Value)
	}
	if a.Batch != "" {
		dst = append(dst, `,"batch":`...)
		dst = appendString(dst, a.Batch)
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendUint(dst, a.Count, 10)
	}
	return append(dst, '}')
}

// AppendPubError adds the refusal of a publish.
func AppendPubError(dst []byte, stream string, e *Error) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendError(dst, e)
	dst = append(dst, `,"stream":`...)
	dst = appendString(dst, stream)
	return append(dst, `,"seq":0}`...)
}

func appendError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Code), 10)
	if e.ErrCode != 0 {
		dst = append(dst, `,"err_code":`...)
		dst = strconv.AppendInt(dst, int64(e.ErrCode), 10)
	}
	if e.Description != "" {
		dst = append(dst, `,"description":`...)
		dst = appendString(dst, e.Description)
	}
	return append(dst, '}')
}

// appendString adds s as a JSON string, escaped as encoding/json does.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			dst = appendASCII(dst, s[i])
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', '2', '0', '2', hexDigits[r&15])
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// appendASCII adds one character of a JSON string.
func appendASCII(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '<', '>', '&':
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	if c < ' ' {
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, c)
}
