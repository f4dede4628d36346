package jetstream

import "time"

// Page sizes of lists.
const (
	NamesLimit    = 1024
	ListLimit     = 256
	SubjectsLimit = 100_000
)

// Response begins every JSON answer of the API: its type, and the error if there
// is one.
type Response struct {
	Type  string `json:"type"`
	Error *Error `json:"error,omitempty"`
}

// Head gives the beginning of the kind's response; err may be nil.
func (k Kind) Head(err *Error) Response { return Response{Type: k.Type(), Error: err} }

// ErrorBody is the whole response of the kind where there is an error. Some kinds
// have keys that are there all the same.
func (k Kind) ErrorBody(err *Error) []byte {
	head := k.Head(err)
	switch k {
	case KindStreamNames:
		return Encode(StreamNamesResponse{Response: head})
	case KindStreamList:
		return Encode(StreamListResponse{Response: head, Streams: []*StreamInfo{}})
	case KindStreamInfo:
		return Encode(StreamInfoResponse{Response: head})
	case KindStreamPurge:
		return Encode(StreamPurgeResponse{Response: head})
	case KindConsumerNames:
		return Encode(ConsumerNamesResponse{Response: head, Consumers: []string{}})
	case KindConsumerList:
		return Encode(ConsumerListResponse{Response: head, Consumers: []*ConsumerInfo{}})
	case KindConsumerPause:
		return Encode(ConsumerPauseResponse{Response: head})
	case KindConsumerReset:
		return Encode(ConsumerResetResponse{Response: head})
	}
	return Encode(head)
}

// Paged tells which part of a list a response holds.
type Paged struct {
	Total  int `json:"total"`
	Offset int `json:"offset"`
	Limit  int `json:"limit"`
}

// Page gives the bounds of the page that begins at offset, in a list of total
// elements: list[from:to], and what the response says. An offset beyond the end is
// the end.
func Page(total, offset, limit int) (from, to int, p Paged) {
	from = min(max(offset, 0), total)
	to = min(from+limit, total)
	return from, to, Paged{Total: total, Offset: from, Limit: limit}
}

// SuccessResponse answers deletes of streams, consumers and messages.
type SuccessResponse struct {
	Response
	Success bool `json:"success,omitempty"`
}

// AccountInfoResponse answers KindAccountInfo.
type AccountInfoResponse struct {
	Response
	*AccountInfo
}

// StreamCreateResponse answers KindStreamCreate and, without DidCreate,
// KindStreamUpdate.
type StreamCreateResponse struct {
	Response
	*StreamInfo
	DidCreate bool `json:"did_create,omitempty"`
}

// StreamInfoResponse answers KindStreamInfo. The page is of the subjects' map and
// zero without one.
type StreamInfoResponse struct {
	Response
	Paged
	*StreamInfo
}

// StreamNamesResponse answers KindStreamNames. Streams should not be nil: clients
// expect an array.
type StreamNamesResponse struct {
	Response
	Paged
	Streams []string `json:"streams"`
}

// StreamListResponse answers KindStreamList.
type StreamListResponse struct {
	Response
	Paged
	Streams []*StreamInfo     `json:"streams"`
	Missing []string          `json:"missing,omitempty"`
	Offline map[string]string `json:"offline,omitempty"` // name to reason
}

// StreamPurgeResponse answers KindStreamPurge.
type StreamPurgeResponse struct {
	Response
	Success bool   `json:"success,omitempty"`
	Purged  uint64 `json:"purged"`
}

// MsgGetResponse answers KindMsgGet.
type MsgGetResponse struct {
	Response
	Message *StoredMsg `json:"message,omitempty"`
}

// StoredMsg is a message as it is stored. Header holds the whole block.
type StoredMsg struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"seq"`
	Header   []byte    `json:"hdrs,omitempty"`
	Data     []byte    `json:"data,omitempty"`
	Time     time.Time `json:"time"`
}

// ConsumerCreateResponse answers the creations of consumers.
type ConsumerCreateResponse struct {
	Response
	*ConsumerInfo
}

// ConsumerInfoResponse answers KindConsumerInfo.
type ConsumerInfoResponse struct {
	Response
	*ConsumerInfo
}

// ConsumerNamesResponse answers KindConsumerNames. Consumers should not be nil.
type ConsumerNamesResponse struct {
	Response
	Paged
	Consumers []string `json:"consumers"`
}

// ConsumerListResponse answers KindConsumerList.
type ConsumerListResponse struct {
	Response
	Paged
	Consumers []*ConsumerInfo   `json:"consumers"`
	Missing   []string          `json:"missing,omitempty"`
	Offline   map[string]string `json:"offline,omitempty"` // name to reason
}

// ConsumerPauseResponse answers KindConsumerPause.
type ConsumerPauseResponse struct {
	Response
	Paused         bool          `json:"paused"`
	PauseUntil     time.Time     `json:"pause_until"`
	PauseRemaining time.Duration `json:"pause_remaining,omitempty"`
}

// ConsumerResetResponse answers KindConsumerReset.
type ConsumerResetResponse struct {
	Response
	*ConsumerInfo
	ResetSeq uint64 `json:"reset_seq"`
}
