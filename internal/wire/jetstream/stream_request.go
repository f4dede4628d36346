package jetstream

import "time"

// StreamConfigRequest asks to create or update a stream.
type StreamConfigRequest struct {
	StreamConfig
	// Pedantic refuses what would otherwise be corrected silently.
	Pedantic bool `json:"pedantic,omitempty"`
}

// DecodeStreamCreate reads a request to create the stream that its subject names
// and makes the checks that come before those of the configuration itself.
func (d Decoder) DecodeStreamCreate(stream string, body []byte) (*StreamConfigRequest, *Error) {
	var r StreamConfigRequest
	if err := d.filled(body, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Name != stream:
		return nil, Err(CodeStreamMismatch)
	case hasPathSeparator(r.Name):
		return nil, Err(CodeStreamNameSeparators)
	case r.Sealed:
		return nil, invalidStream("a stream can not be created sealed")
	case r.MirrorDirect && r.Mirror == nil:
		return nil, invalidStream("mirror_direct needs a mirror")
	}
	return &r, nil
}

// DecodeStreamUpdate reads a request to update the stream that its subject names.
// The name is compared after the configuration has been checked, by CheckUpdate.
func (d Decoder) DecodeStreamUpdate(body []byte) (*StreamConfigRequest, *Error) {
	var r StreamConfigRequest
	if err := d.filled(body, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// StreamListRequest asks for names or infos of streams, those with a subject that
// overlaps Subject if that is set.
type StreamListRequest struct {
	Offset  int    `json:"offset"`
	Subject string `json:"subject,omitempty"`
}

// Wants says whether a stream with these subjects belongs to the list.
func (r *StreamListRequest) Wants(subjects []string) bool {
	if r.Subject == "" {
		return true
	}
	for _, s := range subjects {
		if subjectsOverlap(s, r.Subject) {
			return true
		}
	}
	return false
}

// StreamInfoRequest asks for details: the deleted sequences, and counts by subject
// from Offset on for those that SubjectsFilter matches.
type StreamInfoRequest struct {
	Offset         int    `json:"offset"`
	DeletedDetails bool   `json:"deleted_details,omitempty"`
	SubjectsFilter string `json:"subjects_filter,omitempty"`
}

// PurgeRequest asks to remove messages: those of subjects that Filter matches,
// those before Seq, or all but the Keep newest.
type PurgeRequest struct {
	Seq    uint64 `json:"seq,omitempty"`
	Filter string `json:"filter,omitempty"`
	Keep   uint64 `json:"keep,omitempty"`
}

// DecodePurge reads a request to purge; Seq and Keep together are refused.
func (d Decoder) DecodePurge(body []byte) (PurgeRequest, *Error) {
	var r PurgeRequest
	if err := d.Optional(body, &r); err != nil {
		return r, err
	}
	if r.Seq > 0 && r.Keep > 0 {
		return r, Err(CodeBadRequest)
	}
	if r.Filter == ">" {
		r.Filter = ""
	}
	return r, nil
}

// MsgDeleteRequest asks to delete a message; NoErase leaves its bytes.
type MsgDeleteRequest struct {
	Seq     uint64 `json:"seq"`
	NoErase bool   `json:"no_erase,omitempty"`
}

// DecodeMsgDelete reads a request to delete a message; an empty one is refused.
func (d Decoder) DecodeMsgDelete(body []byte) (MsgDeleteRequest, *Error) {
	var r MsgDeleteRequest
	if d.Empty(body) == nil {
		return r, Err(CodeBadRequest)
	}
	err := d.Required(body, &r)
	return r, err
}

// MsgGetRequest asks for stored messages. The API's request for one message knows
// the first five keys, a direct get all of them.
type MsgGetRequest struct {
	Seq       uint64     `json:"seq,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	NoHeader  bool       `json:"no_hdr,omitempty"`

	Batch    int        `json:"batch,omitempty"`
	MaxBytes int        `json:"max_bytes,omitempty"`
	MultiFor []string   `json:"multi_last,omitempty"`
	UpToSeq  uint64     `json:"up_to_seq,omitempty"`
	UpToTime *time.Time `json:"up_to_time,omitempty"`
}

// DecodeMsgGet reads a request for one message by sequence, time or subject.
func (d Decoder) DecodeMsgGet(body []byte) (*MsgGetRequest, *Error) {
	var r MsgGetRequest
	if len(body) == 0 {
		return nil, Err(CodeBadRequest)
	}
	if err := d.Required(body, &r); err != nil {
		return nil, err
	}
	if r.plural() || r.nothing() || r.conflict() {
		return nil, Err(CodeBadRequest)
	}
	return &r, nil
}

// plural says whether the request uses what only direct gets know.
func (r *MsgGetRequest) plural() bool {
	return r.Batch != 0 || r.MaxBytes != 0 || len(r.MultiFor) > 0
}

// nothing says whether the request names no message.
func (r *MsgGetRequest) nothing() bool {
	return r.Seq == 0 && r.LastFor == "" && r.NextFor == "" && r.StartTime == nil && len(r.MultiFor) == 0
}

// conflict says whether options exclude each other.
func (r *MsgGetRequest) conflict() bool {
	last, next, multi := r.LastFor != "", r.NextFor != "", len(r.MultiFor) > 0
	return r.Seq > 0 && (last || r.StartTime != nil) ||
		last && (r.StartTime != nil || next || r.Batch > 0 || multi) ||
		next && multi ||
		r.UpToSeq > 0 && r.UpToTime != nil ||
		r.Batch < 0 || r.MaxBytes < 0
}
