package nats

import (
	"encoding/binary"
	"math/bits"
)

// publishLine is the control line of a canonical PUB or HPUB as indexes into the
// buffer. A zero end says that the line is not canonical, or not complete.
type publishLine struct {
	subject    int // start of the subject
	subjectEnd int // the space behind it
	replyEnd   int // the space behind the reply; 0 without one
	header     int // size of the header block
	total      int // size of header block and payload
	end        int // start of what follows the line
}

// scanPub reads a line that begins with "PUB ".
func scanPub(buf []byte) (l publishLine) {
	subject := len("PUB ")
	subjectEnd := tokenEnd(buf, subject)
	if subjectEnd < 0 {
		return publishLine{}
	}
	replyEnd := 0
	total, end := lastSize(buf, subjectEnd+1)
	if end == 0 {
		replyEnd = tokenEnd(buf, subjectEnd+1)
		if replyEnd < 0 {
			return publishLine{}
		}
		total, end = lastSize(buf, replyEnd+1)
	}
	return publishLine{subject: subject, subjectEnd: subjectEnd, replyEnd: replyEnd, total: total, end: end}
}

// scanHPub reads a line that begins with "HPUB ".
func scanHPub(buf []byte) (l publishLine) {
	subject := len("HPUB ")
	subjectEnd := tokenEnd(buf, subject)
	if subjectEnd < 0 {
		return publishLine{}
	}
	replyEnd := 0
	header, total, end := lastSizes(buf, subjectEnd+1)
	if end == 0 {
		replyEnd = tokenEnd(buf, subjectEnd+1)
		if replyEnd < 0 {
			return publishLine{}
		}
		header, total, end = lastSizes(buf, replyEnd+1)
	}
	if header > total {
		return publishLine{}
	}
	return publishLine{
		subject: subject, subjectEnd: subjectEnd, replyEnd: replyEnd,
		header: header, total: total, end: end,
	}
}

// tokenEnd gives the index of the single space that ends the token at start. It
// gives -1 where the token is empty, is not ended by a space, or is not complete.
//
// Eight bytes are looked at together: subtracting '!' from each of them borrows
// into the top bit of those that are below it and were below 0x80, and of the
// bytes flagged the lowest is always a true one.
func tokenEnd(buf []byte, start int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := start
	for ; i+8 <= len(buf); i += 8 {
		v := binary.LittleEndian.Uint64(buf[i:])
		if m := (v - '!'*ones) &^ v & tops; m != 0 {
			i += bits.TrailingZeros64(m) / 8
			if buf[i] == ' ' && i > start {
				return i
			}
			return -1
		}
	}
	for ; i < len(buf); i++ {
		if buf[i] <= ' ' {
			if buf[i] == ' ' && i > start {
				return i
			}
			return -1
		}
	}
	return -1
}

// lastSize reads the digits at start and the CRLF behind them; end is what comes
// next. end is 0 where anything else stands there.
func lastSize(buf []byte, start int) (size, end int) {
	size, i := digits(buf, start)
	if i == start || i+2 > len(buf) || buf[i] != '\r' || buf[i+1] != '\n' {
		return 0, 0
	}
	return size, i + 2
}

// lastSizes reads the digits at start, a space, more digits and the CRLF. end is 0
// where anything else stands there.
func lastSizes(buf []byte, start int) (header, total, end int) {
	header, i := digits(buf, start)
	if i == start || i == len(buf) || buf[i] != ' ' {
		return 0, 0, 0
	}
	total, end = lastSize(buf, i+1)
	return header, total, end
}

// maxDigits is how many digits a size may have.
const maxDigits = 9

// digits reads the number at start, without leading zeros, and gives the index of
// the byte behind it, or start where there is no such number.
func digits(buf []byte, start int) (value, end int) {
	i := start
	for ; i < len(buf); i++ {
		c := buf[i] - '0'
		if c > 9 {
			break
		}
		if i-start == maxDigits {
			return 0, start
		}
		value = value*10 + int(c)
	}
	if i-start > 1 && buf[start] == '0' {
		return 0, start
	}
	return value, i
}
