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
	var tokens [9][]byte
	n, rest := 0, subject[len(AckPrefix):]
	for more := true; more; n++ {
		var token []byte
		token, rest, more = bytes.Cut(rest, dot)
		if len(token) == 0 {
			return AckSubject{}, false
		}
		if n < len(tokens) {
			tokens[n] = token
		}
	}
	var a AckSubject
	fields := tokens[:7]
	switch {
	case n == 7:
	case n >= 9:
		a.Account, fields = tokens[1], tokens[2:]
		if string(tokens[0]) != "_" {
			a.Domain = tokens[0]
		}
	default:
		return AckSubject{}, false
	}
	a.Stream, a.Consumer = fields[0], fields[1]
	ts, ok := uint64(0), true
	for i, p := range [...]*uint64{&a.Delivered, &a.StreamSeq, &a.ConsumerSeq, &ts, &a.Pending} {
		if *p, ok = parseUint(fields[2+i]); !ok {
			return AckSubject{}, false
		}
	}
	a.Time = int64(ts)
	return a, a.Time >= 0
}

var dot = []byte(".")

// parseUint reads decimal digits and nothing else; false when there are none or
// they do not fit.
func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
