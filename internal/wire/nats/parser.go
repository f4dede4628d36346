package nats

import (
	"encoding/binary"
	"math"
)

const (
	// DefaultMaxControlLine is the limit where Parser.MaxControlLine is zero.
	DefaultMaxControlLine = 4096
	// DefaultMaxPayload is the limit where Parser.MaxPayload is zero.
	DefaultMaxPayload = 1 << 20

	// pubSpace is "PUB " as a little-endian number.
	pubSpace = 'P' | 'U'<<8 | 'B'<<16 | ' '<<24
)

// Parser reads a client's operations. It holds the limits and no other state; a
// caller may change them between two calls.
type Parser struct {
	// MaxControlLine is the most bytes that the arguments behind a verb may have.
	// Zero means DefaultMaxControlLine, a negative number means no limit.
	MaxControlLine int
	// MaxPayload is the most bytes that header block and payload of a publish may
	// have together. Zero means DefaultMaxPayload, a negative number means no limit
	// but that of nine digits.
	MaxPayload int
}

// Next parses the operation at the start of buf; see Parse.
func (p *Parser) Next(buf []byte) (op Op, n, need int, err error) {
	n, need, err = p.Parse(&op, buf)
	return op, n, need, err
}

// Parse parses the operation at the start of buf into op. Exactly one of three
// things is true: n > 0, and *op stands in buf[:n]; need > len(buf), and Parse is
// to be called again once the buffer holds need bytes; or err, an *Error, says why
// the connection is refused. need is exact where only a payload is missing, and
// otherwise len(buf)+1. How the bytes were cut into buffers changes no result.
// Without an operation *op is unspecified.
//
// A control line that is too long and a payload that is too large are refused as
// soon as that is known, before the rest has arrived.
func (p *Parser) Parse(op *Op, buf []byte) (n, need int, err error) {
	var subject, subjectEnd, replyEnd, header, total, data int
	switch {
	case len(buf) > 4 && binary.LittleEndian.Uint32(buf) == pubSpace:
		subject = len("PUB ")
		subjectEnd, replyEnd, total, data = scanPub(buf)
	case len(buf) > 5 && string(buf[:5]) == "HPUB ":
		subject = len("HPUB ")
		subjectEnd, replyEnd, header, total, data = scanHPub(buf)
	}
	if data == 0 {
		return p.general(op, buf)
	}
	if args := data - len("\r\n") - subject; args > p.MaxControlLine && args > p.lineLimit() {
		return 0, 0, ErrControlLine
	}
	if total > p.MaxPayload && total > p.payloadLimit() {
		return 0, 0, ErrMaxPayload
	}
	end := data + total
	n = end + len("\r\n")
	if n > len(buf) {
		return 0, n, nil
	}
	if buf[end] != '\r' || buf[end+1] != '\n' {
		return 0, 0, ErrUnknownOperation
	}
	*op = Op{Kind: OpPub}
	op.Subject = buf[subject:subjectEnd:subjectEnd]
	if replyEnd > 0 {
		op.Reply = buf[subjectEnd+1 : replyEnd : replyEnd]
	}
	if subject == len("HPUB ") {
		op.Kind = OpHPub
		op.Header = buf[data : data+header : data+header]
	}
	op.Data = buf[data+header : end : end]
	op.Tail = buf[subjectEnd+1 : n : n]
	return n, 0, nil
}

func (p *Parser) lineLimit() int { return limit(p.MaxControlLine, DefaultMaxControlLine) }

func (p *Parser) payloadLimit() int { return limit(p.MaxPayload, DefaultMaxPayload) }

// limit gives the meaning of a configured number.
func limit(configured, otherwise int) int {
	switch {
	case configured == 0:
		return otherwise
	case configured < 0:
		return math.MaxInt
	}
	return configured
}
