package jetstream

import (
	"bytes"
	"strconv"
)

// AckPrefix begins every acknowledgement subject.
const AckPrefix = "$JS.ACK."

// AckSubject is what the reply subject of a delivery says. Domain and Account are
// nil in the first version's form. The names are borrowed.
type AckSubject struct {
	Domain, Account  []byte
	Stream, Consumer []byte
	Delivered        uint64 // 1 for the first delivery
	StreamSeq        uint64
	ConsumerSeq      uint64
	Time             int64 // of the message, Unix nanoseconds
	Pending          uint64
}

// AppendAck adds the reply subject of a delivery, of the first version:
//
//	$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
//
// delivered is 1 for the first delivery, ts is the message's time and pending what
// is left after it.
func AppendAck(dst []byte, stream, consumer string, delivered, sseq, dseq uint64, ts int64, pending uint64) []byte {
	dst = AppendAckPrefix(dst, stream, consumer)
	dst = strconv.AppendUint(dst, delivered, 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, sseq, 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, dseq, 10)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, ts, 10)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, pending, 10)
}

// AppendAckPrefix adds the part that is the same for all deliveries of a consumer,
// with the dot at its end.
func AppendAckPrefix(dst []byte, stream, consumer string) []byte {
	dst = append(dst, AckPrefix...)
	dst = append(dst, stream...)
	dst = append(dst, '.')
	dst = append(dst, consumer...)
	return append(dst, '.')
}

// ParseAck reads the reply subject of a delivery: nine tokens, or, of the second
// version, eleven and more, where a domain "_" means none. It does not allocate.
func ParseAck(subject []byte) (AckSubject, bool) {
	if !bytes.HasPrefix(subject, []byte(AckPrefix)) {
		return AckSubject{}, false
	}
	// ends[i] is where token i ends; tokens beyond the ninth are only counted.
	var ends [9]int
	n, last, rest := 0, -1, subject[len(AckPrefix):]
	for i := 0; i <= len(rest); i++ {
		if i < len(rest) && rest[i] != '.' {
			continue
		}
		if i == last+1 {
			return AckSubject{}, false
		}
		if n < len(ends) {
			ends[n] = i
		}
		n, last = n+1, i
	}
	var a AckSubject
	at := 0 // the stream's token
	switch {
	case n == 7:
	case n >= 9:
		at = 2
		a.Account = rest[ends[0]+1 : ends[1]]
		if string(rest[:ends[0]]) != "_" {
			a.Domain = rest[:ends[0]]
		}
	default:
		return AckSubject{}, false
	}
	start := 0
	if at > 0 {
		start = ends[at-1] + 1
	}
	a.Stream, a.Consumer = rest[start:ends[at]], rest[ends[at]+1:ends[at+1]]
	ts, ok := uint64(0), true
	for i, p := range [...]*uint64{&a.Delivered, &a.StreamSeq, &a.ConsumerSeq, &ts, &a.Pending} {
		if *p, ok = parseUint(rest[ends[at+1+i]+1 : ends[at+2+i]]); !ok {
			return AckSubject{}, false
		}
	}
	a.Time = int64(ts)
	return a, a.Time >= 0
}

// parseUint reads decimal digits and nothing else; false when there are none or
// they do not fit.
func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for i, c := range b {
		d := uint64(c - '0')
		// Only the twentieth digit can be one too many.
		if d > 9 || i == 19 && n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
