package jetstream

import (
	"strings"
	"time"
)

// GroupPrefix begins the subjects of requests about consumer groups.
const GroupPrefix = "$WEIR.API.GROUP."

// GroupKind says what a request about consumer groups asks for.
type GroupKind string

// The kinds. All but the first name a group in the last token.
const (
	GroupList        GroupKind = "LIST"
	GroupInfo        GroupKind = "INFO"
	GroupJoin        GroupKind = "JOIN"
	GroupLeave       GroupKind = "LEAVE"
	GroupAssignments GroupKind = "ASSIGNMENTS"
	GroupCommit      GroupKind = "COMMIT"
	GroupReset       GroupKind = "RESET"
	GroupDelete      GroupKind = "DELETE"
)

// ParseGroupRequest reads the subject of a request about consumer groups. group is the
// token that names the group, as it stands; empty for GroupList. false: it is no such
// subject.
func ParseGroupRequest(subject string) (kind GroupKind, group string, ok bool) {
	rest, ok := strings.CutPrefix(subject, GroupPrefix)
	if !ok {
		return "", "", false
	}
	name, group, named := strings.Cut(rest, ".")
	if strings.Contains(group, ".") || named && group == "" {
		return "", "", false
	}
	switch kind = GroupKind(name); kind {
	case GroupList:
		return kind, "", !named
	case GroupInfo, GroupJoin, GroupLeave, GroupAssignments, GroupCommit, GroupReset, GroupDelete:
		return kind, group, named
	}
	return "", "", false
}

// Head gives the beginning of the kind's response; err may be nil.
func (k GroupKind) Head(err *Error) Response {
	return Response{Type: "io.weir.api.v1.group_" + strings.ToLower(string(k)) + "_response", Error: err}
}

// Numbers of errors that only requests about consumer groups have.
const (
	CodeGroupNotFound      = 20001
	CodeGroupMember        = 20002
	CodeGroupNotMember     = 20003
	CodeGroupEpoch         = 20004
	CodeGroupNotAssigned   = 20005
	CodeGroupHasMembers    = 20006
	CodeGroupNoCursors     = 20007
	CodeGroupBadRequest    = 20008
	CodeGroupNotCommitted  = 20009
	CodeGroupUnknownStream = 20010
)

var groupErrors = map[int]Error{
	CodeGroupNotFound:      {404, CodeGroupNotFound, "consumer group not found"},
	CodeGroupMember:        {400, CodeGroupMember, "consumer is already a member of the consumer group"},
	CodeGroupNotMember:     {404, CodeGroupNotMember, "consumer is not a member of the consumer group"},
	CodeGroupEpoch:         {400, CodeGroupEpoch, "consumer group has another epoch"},
	CodeGroupNotAssigned:   {400, CodeGroupNotAssigned, "partition is not assigned to the consumer"},
	CodeGroupHasMembers:    {400, CodeGroupHasMembers, "consumer group has members"},
	CodeGroupNoCursors:     {503, CodeGroupNoCursors, "cursors are turned off"},
	CodeGroupBadRequest:    {400, CodeGroupBadRequest, "bad request"},
	CodeGroupNotCommitted:  {500, CodeGroupNotCommitted, "not done"},
	CodeGroupUnknownStream: {404, CodeGroupUnknownStream, "stream not found"},
}

// GroupErr gives an error of requests about consumer groups; what, if it is not empty,
// is added to its text.
func GroupErr(errCode int, what string) *Error {
	e := groupErrors[errCode]
	if what != "" {
		e.Description += ": " + what
	}
	return &e
}

// GroupMemberRequest asks for what a member is, as JOIN, LEAVE and ASSIGNMENTS do.
// Streams are for JOIN only.
type GroupMemberRequest struct {
	Consumer string   `json:"consumer"`
	Streams  []string `json:"streams,omitempty"`
}

// GroupMemberResponse says what a member reads at an epoch, and how long it may be
// silent, nanoseconds.
type GroupMemberResponse struct {
	Response
	Group           string            `json:"group"`
	Consumer        string            `json:"consumer"`
	Epoch           uint64            `json:"epoch"`
	ConsumerTimeout time.Duration     `json:"consumer_timeout"`
	Assignments     []GroupAssignment `json:"assignments"`
}

// GroupAssignment is a partition that a member reads. Name is the stream's that it is.
// Last is the last sequence that the group is done with; nil: it has not said.
type GroupAssignment struct {
	Stream    string  `json:"stream"`
	Partition int32   `json:"partition"`
	Name      string  `json:"name"`
	Last      *uint64 `json:"last,omitempty"`
}

// GroupCursor is how far a group is with a partition, by the stream's name that it is.
type GroupCursor struct {
	Name string `json:"name"`
	Last uint64 `json:"last"`
}

// GroupCommitRequest says how far a member has come.
type GroupCommitRequest struct {
	Consumer string        `json:"consumer"`
	Epoch    *uint64       `json:"epoch"` // at which it reads what it speaks of
	Cursors  []GroupCursor `json:"cursors"`
}

// GroupResetRequest moves the cursors of a group without members: to "first", "last",
// "sequence" or "time" of the streams or partitions named, all that have cursors if none
// is. Reading goes on there.
type GroupResetRequest struct {
	To       string    `json:"to"`
	Sequence uint64    `json:"sequence,omitempty"`
	Time     time.Time `json:"time,omitzero"`
	Names    []string  `json:"names,omitempty"`
}

// GroupResetResponse tells where the cursors are now.
type GroupResetResponse struct {
	Response
	Cursors []GroupCursor `json:"cursors"`
}

// GroupInfoResponse describes a group.
type GroupInfoResponse struct {
	Response
	Group      string           `json:"group"`
	Epoch      uint64           `json:"epoch"`
	Members    []GroupMember    `json:"members"`
	Partitions []GroupPartition `json:"partitions"`
}

// GroupMember describes a member. Expires is how long it may still be silent,
// nanoseconds.
type GroupMember struct {
	Consumer string        `json:"consumer"`
	Streams  []string      `json:"streams"`
	Reads    []string      `json:"reads"`
	Expires  time.Duration `json:"expires"`
}

// GroupPartition says how far a group is with a partition. End is the last sequence
// there, Lag how many messages are after Last.
type GroupPartition struct {
	GroupAssignment
	Consumer string `json:"consumer,omitempty"`
	End      uint64 `json:"end"`
	Lag      uint64 `json:"lag"`
}

// GroupListRequest asks for the groups from an offset on.
type GroupListRequest struct {
	Offset int `json:"offset"`
}

// GroupListResponse lists groups by name.
type GroupListResponse struct {
	Response
	Paged
	Groups []GroupSummary `json:"groups"`
}

// GroupSummary is a group in a list. One without members has cursors.
type GroupSummary struct {
	Group   string `json:"group"`
	Epoch   uint64 `json:"epoch,omitempty"`
	Members int    `json:"members"`
}
