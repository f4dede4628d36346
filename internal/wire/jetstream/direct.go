package jetstream

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// DecodeDirectGet reads a direct get, whose answer is a message or a status. The
// filter is the rest of the request's subject; where there is one, it says the
// subject and the body may only say no_hdr. A status with a code of 0 is none.
func (d Decoder) DecodeDirectGet(filter string, body []byte) (*MsgGetRequest, Status) {
	var r MsgGetRequest
	if filter == "" && len(body) == 0 {
		return nil, StatusEmptyRequest
	}
	if len(body) > 0 && (d.bound(body) != nil || json.Unmarshal(body, &r) != nil) {
		return nil, StatusMalformedRequest
	}
	if filter != "" {
		if !r.nothing() || r.plural() {
			return nil, StatusBadRequest
		}
		r.LastFor = filter
		return &r, Status{}
	}
	if r.nothing() {
		return nil, StatusEmptyRequest
	}
	if r.conflict() {
		return nil, StatusBadRequest
	}
	return &r, Status{}
}

// Bounds of direct gets.
const (
	// MaxMultiSubjects is how many subjects multi_last may match.
	MaxMultiSubjects = 1024
	// DefaultDirectMaxBytes bounds a batch that names no max_bytes.
	DefaultDirectMaxBytes = 64 << 20
)

// DirectInfo is what the headers of a directly fetched message say about it.
type DirectInfo struct {
	Stream  string
	Subject []byte
	Seq     uint64
	Time    int64 // Unix nanoseconds

	Batch   bool   // one of several: the two below are sent, too
	Pending uint64 // messages after this one
	LastSeq uint64 // sequence of the message before it in this answer, 0 for the first
}

// AppendDirect adds the header block of a directly fetched message: the stored
// block hdr, which may be empty, with the lines that say where it stands.
func AppendDirect(dst, hdr []byte, m *DirectInfo) []byte {
	dst = appendOpen(dst, hdr)
	dst = append(dst, "Nats-Stream: "...)
	dst = append(dst, m.Stream...)
	dst = append(dst, "\r\nNats-Subject: "...)
	dst = append(dst, m.Subject...)
	dst = append(dst, "\r\nNats-Sequence: "...)
	dst = strconv.AppendUint(dst, m.Seq, 10)
	dst = append(dst, "\r\nNats-Time-Stamp: "...)
	dst = appendTime(dst, m.Time)
	if m.Batch {
		dst = append(dst, "\r\nNats-Num-Pending: "...)
		dst = strconv.AppendUint(dst, m.Pending, 10)
		dst = append(dst, "\r\nNats-Last-Sequence: "...)
		dst = strconv.AppendUint(dst, m.LastSeq, 10)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendEndOfBatch adds the status that ends a direct batch: what is left, the
// last sequence sent and, if not 0, up to which sequence a multi get looked.
func AppendEndOfBatch(dst []byte, pending, lastSeq, upTo uint64) []byte {
	dst = append(dst, "NATS/1.0 204 EOB\r\nNats-Num-Pending: "...)
	dst = strconv.AppendUint(dst, pending, 10)
	dst = append(dst, "\r\nNats-Last-Sequence: "...)
	dst = strconv.AppendUint(dst, lastSeq, 10)
	if upTo > 0 {
		dst = append(dst, "\r\nNats-UpTo-Sequence: "...)
		dst = strconv.AppendUint(dst, upTo, 10)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendMsgSize adds the header block of a delivery without its data: the stored
// block hdr, which may be empty, with the size of the data.
func AppendMsgSize(dst, hdr []byte, size int) []byte {
	dst = appendOpen(dst, hdr)
	dst = append(dst, "Nats-Msg-Size: "...)
	dst = strconv.AppendInt(dst, int64(size), 10)
	return append(dst, "\r\n\r\n"...)
}

// appendOpen adds a header block without the empty line that ends it, so that
// lines can follow; an empty block is begun.
func appendOpen(dst, hdr []byte) []byte {
	hdr = bytes.TrimRight(hdr, "\r\n")
	if len(hdr) == 0 {
		return append(dst, "NATS/1.0\r\n"...)
	}
	dst = append(dst, hdr...)
	return append(dst, "\r\n"...)
}
