package nats

import "math"

const (
	// DefaultMaxControlLine is the limit where Parser.MaxControlLine is zero.
	DefaultMaxControlLine = 4096
	// DefaultMaxPayload is the limit where Parser.MaxPayload is zero.
	DefaultMaxPayload = 1 << 20
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

// Next parses the operation at the start of buf. Exactly one of three things is
// true: n > 0, and op stands in buf[:n]; need > len(buf), and Next is to be called
// again once the buffer holds need bytes; or err, an *Error, says why the
// connection is refused. need is exact where only a payload is missing, and
// otherwise len(buf)+1. How the bytes were cut into buffers changes no result.
//
// A control line that is too long and a payload that is too large are refused as
// soon as that is known, before the rest has arrived.
func (p *Parser) Next(buf []byte) (op Op, n, need int, err error) {
	var l publishLine
	switch {
	case len(buf) > 4 && string(buf[:4]) == "PUB ":
		l = scanPub(buf)
	case len(buf) > 5 && string(buf[:5]) == "HPUB ":
		l = scanHPub(buf)
	}
	if l.end == 0 {
		return p.general(buf)
	}
	if args := l.end - len("\r\n") - l.subject; args > p.MaxControlLine && args > p.lineLimit() {
		return op, 0, 0, ErrControlLine
	}
	if l.total > p.MaxPayload && l.total > p.payloadLimit() {
		return op, 0, 0, ErrMaxPayload
	}
	n = l.end + l.total + 2
	if n > len(buf) {
		return op, 0, n, nil
	}
	if buf[n-2] != '\r' || buf[n-1] != '\n' {
		return op, 0, 0, ErrUnknownOperation
	}
	op.Kind = OpPub
	data := l.end
	if l.subject == len("HPUB ") {
		op.Kind = OpHPub
		data += l.header
		op.Header = buf[l.end:data:data]
	}
	op.Subject = buf[l.subject:l.subjectEnd:l.subjectEnd]
	if l.replyEnd > 0 {
		op.Reply = buf[l.subjectEnd+1 : l.replyEnd : l.replyEnd]
	}
	op.Data = buf[data : n-2 : n-2]
	op.Tail = buf[l.subjectEnd+1 : n : n]
	return op, n, 0, nil
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
