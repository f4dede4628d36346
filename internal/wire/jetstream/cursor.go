package jetstream

import "strings"

// CursorPrefix begins the subjects of requests about cursors.
const CursorPrefix = "$WEIR.API.CURSOR."

// CursorKind says what a request about cursors asks for: the last token of its subject.
type CursorKind string

// The kinds.
const (
	CursorGet  CursorKind = "GET"
	CursorSet  CursorKind = "SET"
	CursorList CursorKind = "LIST"
)

// Head gives the beginning of the kind's response; err may be nil.
func (k CursorKind) Head(err *Error) Response {
	return Response{Type: "io.weir.api.v1.cursor_" + strings.ToLower(string(k)) + "_response", Error: err}
}

// CursorRequest names a cursor, as Liftbridge's clients do: the stream by its name there.
// Offset and Keep are for CursorSet: with Keep one that is set stays as it is.
type CursorRequest struct {
	Stream    string `json:"stream"`
	Partition int32  `json:"partition"`
	Cursor    string `json:"cursor"`
	Offset    *int64 `json:"offset,omitempty"`
	Keep      bool   `json:"keep,omitempty"`
}

// CursorResponse says where a cursor is now; nil: it was never set. Kept says that it was
// set before, and stays.
type CursorResponse struct {
	Response
	Offset *int64 `json:"offset,omitempty"`
	Kept   bool   `json:"kept,omitempty"`
}

// CursorListRequest asks for the cursors of a stream, or of one partition, from an offset
// in the list on.
type CursorListRequest struct {
	Stream    string `json:"stream"`
	Partition *int32 `json:"partition,omitempty"`
	Offset    int    `json:"offset,omitempty"`
}

// CursorListResponse lists cursors by partition and name. A page may have fewer than Limit
// says and not be the last: Offset and Limit say where the next one begins.
type CursorListResponse struct {
	Response
	Paged
	Cursors []CursorPosition `json:"cursors"`
}

// CursorPosition is where a cursor is. Those of groups are named as they are kept.
type CursorPosition struct {
	Partition int32  `json:"partition"`
	Cursor    string `json:"cursor"`
	Offset    int64  `json:"offset"`
}
