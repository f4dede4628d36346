package http2

import "encoding/binary"

// PutHeader writes a frame's header into b, which has HeaderLen bytes.
func PutHeader(b []byte, size int, t Type, flags uint8, stream uint32) {
	b[0], b[1], b[2], b[3], b[4] = byte(size>>16), byte(size>>8), byte(size), byte(t), flags
	binary.BigEndian.PutUint32(b[5:], stream)
}

func appendHeader(b []byte, size int, t Type, flags uint8, stream uint32) []byte {
	b = append(b, make([]byte, HeaderLen)...)
	PutHeader(b[len(b)-HeaderLen:], size, t, flags, stream)
	return b
}

// Value is a setting with its value.
type Value struct {
	Setting Setting
	Value   uint32
}

// AppendSettings appends a Settings frame.
func AppendSettings(b []byte, values ...Value) []byte {
	b = appendHeader(b, 6*len(values), Settings, 0, 0)
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, uint16(v.Setting))
		b = binary.BigEndian.AppendUint32(b, v.Value)
	}
	return b
}

// AppendSettingsAck appends the acknowledgement of a Settings frame.
func AppendSettingsAck(b []byte) []byte { return appendHeader(b, 0, Settings, FlagAck, 0) }

// AppendPing appends a Ping frame with 8 bytes, an answer or not.
func AppendPing(b []byte, ack bool, data []byte) []byte {
	flags := uint8(0)
	if ack {
		flags = FlagAck
	}
	return append(appendHeader(b, len(data), Ping, flags, 0), data...)
}

// AppendGoAway appends a GoAway frame: streams above last are not served.
func AppendGoAway(b []byte, last uint32, code Code, text string) []byte {
	b = appendHeader(b, 8+len(text), GoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	return append(b, text...)
}

// AppendWindow appends a WindowUpdate frame, of the connection where stream is 0.
func AppendWindow(b []byte, stream uint32, by int64) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(b, 4, WindowUpdate, 0, stream), uint32(by))
}

// AppendReset appends a ResetStream frame.
func AppendReset(b []byte, stream uint32, code Code) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(b, 4, ResetStream, 0, stream), uint32(code))
}

// AppendHeaders appends a header block as a Headers frame and as many Continuation frames
// as it takes; end says that the stream ends with it.
func AppendHeaders(b []byte, stream uint32, block []byte, end bool) []byte {
	t, flags := Headers, uint8(0)
	if end {
		flags = FlagEndStream
	}
	for {
		n := min(len(block), LeastMax)
		if n == len(block) {
			flags |= FlagEndHeaders
		}
		b = append(appendHeader(b, n, t, flags, stream), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return b
		}
		t, flags = Continuation, 0
	}
}

// BlockStart begins each header block that is written here: the dynamic table is not used,
// whatever its size may be.
const BlockStart = 0x20

// statusIndex is where the static table has ":status" with 200, and with no value.
const (
	statusOK    = 0x80 | 8
	statusOther = 8
)

// AppendStatus appends the response's status, of three digits, to a header block.
func AppendStatus(b []byte, status string) []byte {
	if status == "200" {
		return append(b, statusOK)
	}
	return appendString(append(b, statusOther), status)
}

// AppendField appends a header field, whose name is in lower case, to a header block:
// literally, and not to be remembered.
func AppendField(b []byte, name, value string) []byte {
	return appendString(appendString(append(b, 0), name), value)
}

func appendString(b []byte, s string) []byte {
	const most = 0x7f // what fits beside the flag that says Huffman
	n := len(s)
	if n < most {
		return append(append(b, byte(n)), s...)
	}
	b = append(b, most)
	return append(binary.AppendUvarint(b, uint64(n-most)), s...)
}
