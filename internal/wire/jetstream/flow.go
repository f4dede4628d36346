package jetstream

import (
	"bytes"
	"strconv"
)

// FlowPrefix begins the subjects at which flow-control requests are answered:
//
//	$JS.FC.<stream>.<consumer>.<number>
const FlowPrefix = "$JS.FC."

// AppendFlow adds the subject for the answer to a consumer's request of that number.
func AppendFlow(dst []byte, stream, consumer string, number uint64) []byte {
	dst = append(dst, FlowPrefix...)
	dst = append(dst, stream...)
	dst = append(dst, '.')
	dst = append(dst, consumer...)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, number, 10)
}

// ParseFlow reads such a subject. The names are borrowed.
func ParseFlow(subject []byte) (stream, consumer []byte, number uint64, ok bool) {
	rest, ok := bytes.CutPrefix(subject, []byte(FlowPrefix))
	if !ok {
		return nil, nil, 0, false
	}
	stream, rest, ok = bytes.Cut(rest, []byte("."))
	if !ok {
		return nil, nil, 0, false
	}
	consumer, rest, ok = bytes.Cut(rest, []byte("."))
	if !ok || len(stream) == 0 || len(consumer) == 0 {
		return nil, nil, 0, false
	}
	number, ok = parseUint(rest)
	return stream, consumer, number, ok
}
