package nats

import (
	"encoding/binary"
	"math/bits"
)

// scanPub reads a canonical line that begins with "PUB ": the spaces behind the
// subject and behind the reply (0 without one), the size, and where the payload
// begins. data is 0 where the line is not canonical, or not complete.
func scanPub(buf []byte) (subjectEnd, replyEnd, total, data int) {
	subjectEnd = tokenEnd(buf, len("PUB "))
	if subjectEnd < 0 {
		return 0, 0, 0, 0
	}
	if total, data = lastSize(buf, subjectEnd+1); data != 0 {
		return subjectEnd, 0, total, data
	}
	replyEnd = tokenEnd(buf, subjectEnd+1)
	if replyEnd < 0 {
		return 0, 0, 0, 0
	}
	total, data = lastSize(buf, replyEnd+1)
	return subjectEnd, replyEnd, total, data
}

// scanHPub is scanPub for a line that begins with "HPUB ".
func scanHPub(buf []byte) (subjectEnd, replyEnd, header, total, data int) {
	subjectEnd = tokenEnd(buf, len("HPUB "))
	if subjectEnd < 0 {
		return 0, 0, 0, 0, 0
	}
	header, total, data = lastSizes(buf, subjectEnd+1)
	if data == 0 {
		replyEnd = tokenEnd(buf, subjectEnd+1)
		if replyEnd < 0 {
			return 0, 0, 0, 0, 0
		}
		header, total, data = lastSizes(buf, replyEnd+1)
	}
	if header > total {
		return 0, 0, 0, 0, 0
	}
	return subjectEnd, replyEnd, header, total, data
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
