package jetstream

import (
	"bytes"
	"encoding/json"
)

// AckKind says what a client does with a delivery.
type AckKind uint8

// Kinds of acknowledgements.
const (
	AckUnknown  AckKind = iota // not an acknowledgement: ignored
	AckAck                     // done
	AckNak                     // deliver again
	AckProgress                // wait longer
	AckTerm                    // never deliver again
	AckNext                    // done, and a pull request
)

// Ack is the payload of an acknowledgement.
type Ack struct {
	Kind  AckKind
	Delay int64  // of a nak, nanoseconds; 0: at once
	Text  []byte // a term's reason or a next's request; borrowed
}

// ParseAckPayload reads the payload of an acknowledgement. A nak whose delay can
// not be read is one without. Usual forms do not allocate.
func ParseAckPayload(b []byte) Ack {
	switch {
	case len(b) == 0, string(b) == "+ACK", string(b) == "+OK":
		return Ack{Kind: AckAck}
	case string(b) == "+WPI":
		return Ack{Kind: AckProgress}
	case bytes.HasPrefix(b, []byte("-NAK")):
		return Ack{Kind: AckNak, Delay: nakDelay(bytes.Trim(b[4:], jsonSpace))}
	case bytes.HasPrefix(b, []byte("+NXT")):
		return Ack{Kind: AckNext, Text: bytes.Trim(b[4:], jsonSpace)}
	case bytes.HasPrefix(b, []byte("+TERM")):
		return Ack{Kind: AckTerm, Text: bytes.Trim(b[5:], jsonSpace)}
	}
	return Ack{}
}

// nakDelay reads {"delay":ns} or a duration as Go writes it; 0 for anything else.
func nakDelay(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	if b[0] != '{' {
		return max(parseDuration(b), 0)
	}
	if d, ok := fastDelay(b); ok {
		return d
	}
	var v struct {
		Delay int64 `json:"delay"`
	}
	if (Decoder{}).bound(b) != nil || json.Unmarshal(b, &v) != nil {
		return 0
	}
	return max(v.Delay, 0)
}

// fastDelay reads the form in which clients write a delay, spaces allowed.
func fastDelay(b []byte) (int64, bool) {
	const key = `"delay"`
	b = bytes.TrimLeft(b[1:], jsonSpace)
	if !bytes.HasPrefix(b, []byte(key)) {
		return 0, false
	}
	b = bytes.TrimLeft(b[len(key):], jsonSpace)
	if len(b) < 3 || b[0] != ':' || b[len(b)-1] != '}' {
		return 0, false
	}
	n, ok := parseUint(bytes.Trim(b[1:len(b)-1], jsonSpace))
	return int64(n), ok && n < 1<<63
}
