package jetstream

import (
	"bytes"
	"strconv"
	"time"
)

var (
	markerReason = []byte("\r\nNats-Marker-Reason:")
	kvOperation  = []byte("\r\nKV-Operation:")
	ttlLine      = []byte("\r\nNats-TTL:")
)

// AppendMarker adds the header block of the message that takes the place of a
// subject's last one that grew too old. ttl, nanoseconds, is how long it lives.
func AppendMarker(dst []byte, ttl int64) []byte {
	dst = append(dst, "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: "...)
	dst = append(dst, time.Duration(ttl).String()...)
	return append(dst, "\r\nNats-Rollup: sub\r\n\r\n"...)
}

// IsMarker says whether a header block is that of a marker, or of a purge by a client of
// a key-value bucket, which is one, too: when it is gone nothing takes its place.
func IsMarker(block []byte) bool {
	if bytes.Contains(block, markerReason) {
		return true
	}
	_, operation, _ := bytes.Cut(block, kvOperation)
	operation, _, _ = bytes.Cut(operation, []byte("\r\n"))
	return string(bytes.Trim(operation, jsonSpace)) == "PURGE"
}

// WithRollup gives a copy of a header block that replaces what was on its subject.
func WithRollup(block []byte) []byte {
	head := bytes.TrimSuffix(block, []byte("\r\n"))
	return append(bytes.Clone(head), "Nats-Rollup: sub\r\n\r\n"...)
}

// WithTTL gives a copy of a header block with another TTL, nanoseconds, in whole
// seconds. A block without one is copied as it is.
func WithTTL(block []byte, ttl int64) []byte {
	at := bytes.Index(block, ttlLine)
	if at < 0 {
		return bytes.Clone(block)
	}
	at += len(ttlLine)
	end := at + max(bytes.IndexByte(block[at:], '\r'), 0)
	out := append(make([]byte, 0, len(block)+20), block[:at]...)
	out = append(out, ' ')
	out = strconv.AppendInt(out, ttl/int64(time.Second), 10)
	return append(out, block[end:]...)
}
