package jetstream

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// SnapshotRequest asks for a stream's snapshot, which is sent to a subject in
// chunks.
type SnapshotRequest struct {
	DeliverSubject string `json:"deliver_subject"`
	NoConsumers    bool   `json:"no_consumers,omitempty"`
	ChunkSize      int    `json:"chunk_size,omitempty"`
	// WindowSize bounds the bytes that are sent and not answered.
	WindowSize int `json:"window_size,omitempty"`
	// CheckMsgs has the stream verified first, which reading it does.
	CheckMsgs bool `json:"jsck,omitempty"`
}

// Bounds of a snapshot's chunks and window, in bytes.
const (
	defaultChunk  = 128 << 10
	minChunk      = 1 << 10
	maxChunk      = 1 << 20
	defaultWindow = 8 << 20
	maxWindow     = 32 << 20
)

// DecodeSnapshot reads a request for a snapshot and puts its sizes within their
// bounds.
func (d Decoder) DecodeSnapshot(body []byte) (SnapshotRequest, *Error) {
	var r SnapshotRequest
	if len(bytes.TrimLeft(body, jsonSpace)) == 0 {
		return r, Err(CodeBadRequest)
	}
	if err := d.Required(body, &r); err != nil {
		return r, err
	}
	if !literalSubject(r.DeliverSubject) {
		return r, Err(CodeSnapshotDeliverSubject)
	}
	if r.ChunkSize == 0 {
		r.ChunkSize = defaultChunk
	}
	if r.WindowSize == 0 {
		r.WindowSize = defaultWindow
	}
	r.ChunkSize = min(max(r.ChunkSize, minChunk), maxChunk)
	r.WindowSize = max(min(max(r.WindowSize, minChunk), maxWindow), r.ChunkSize)
	return r, nil
}

// Window is how many chunks may be sent and not answered.
func (r *SnapshotRequest) Window() int { return r.WindowSize / r.ChunkSize }

// SnapshotResponse answers KindStreamSnapshot, before the chunks come.
type SnapshotResponse struct {
	Response
	Config *StreamConfig `json:"config"`
	State  StreamState   `json:"state"`
}

// RestoreRequest asks to restore a stream whose snapshot will be uploaded.
type RestoreRequest struct {
	Config StreamConfigRequest `json:"config"`
	// State is what the snapshot's response said. What is uploaded counts.
	State json.RawMessage `json:"state,omitempty"`
}

// DecodeRestore reads a request to restore the stream that its subject names.
func (d Decoder) DecodeRestore(stream string, body []byte) (*RestoreRequest, *Error) {
	if len(bytes.TrimLeft(body, jsonSpace)) == 0 {
		return nil, Err(CodeBadRequest)
	}
	var r RestoreRequest
	if err := d.Required(body, &r); err != nil {
		return nil, err
	}
	if r.Config.Name == "" {
		r.Config.Name = stream
	}
	if r.Config.Name != stream {
		return nil, Err(CodeStreamMismatch)
	}
	if hasPathSeparator(stream) {
		return nil, Err(CodeStreamNameSeparators)
	}
	return &r, nil
}

// RestoreResponse answers KindStreamRestore: where the snapshot is to be uploaded.
type RestoreResponse struct {
	Response
	DeliverSubject string `json:"deliver_subject"`
}

// Statuses that end a snapshot.
var (
	StatusSnapshotDone       = Status{204, ""}
	StatusSnapshotNoInterest = Status{408, "No Interest"}
	StatusSnapshotNoFlow     = Status{408, "No Flow Response"}
)

// StatusSnapshotFailed ends a snapshot that cannot go on. why becomes one line.
func StatusSnapshotFailed(why string) Status {
	return Status{500, strings.Join(strings.Fields(why), " ")}
}

// The subjects of a snapshot's flow and of an upload.
const (
	snapshotAckPrefix = "$JS.SNAPSHOT.ACK."
	restorePrefix     = "$JS.SNAPSHOT.RESTORE."
)

// SnapshotAckPrefix begins the subjects at which the chunks of one snapshot are
// answered. What follows is the chunk's size and its number, from 1 on.
func SnapshotAckPrefix(stream, id string) string { return snapshotAckPrefix + stream + "." + id + "." }

// AppendSnapshotAck adds the subject at which a chunk is answered.
func AppendSnapshotAck(dst []byte, prefix string, size, number int) []byte {
	dst = strconv.AppendInt(append(dst, prefix...), int64(size), 10)
	return strconv.AppendInt(append(dst, '.'), int64(number), 10)
}

// ParseSnapshotAck reads the number of a chunk from such a subject.
func ParseSnapshotAck(subject []byte) (number int, ok bool) {
	i := bytes.LastIndexByte(subject, '.')
	n, ok := parseUint(subject[i+1:])
	if !ok || n == 0 || n > 1<<40 {
		return 0, false
	}
	return int(n), true
}

// RestoreSubject is where a snapshot is uploaded.
func RestoreSubject(stream, id string) string { return restorePrefix + stream + "." + id }
