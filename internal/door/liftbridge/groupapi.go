package liftbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/group"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// groupRequestTimeout bounds how long a request waits for the log. What it asked for may
// still take effect after that.
const groupRequestTimeout = 30 * time.Second

// ServeGroups answers requests of an account's NATS clients about consumer groups and
// cursors until stop is called. enabled says whether the account has streams now.
func (d *Door) ServeGroups(space *broker.Space, enabled func() bool) (stop func()) {
	a := &groupAPI{door: d, account: space.Name(), enabled: enabled}
	groups, cursors := space.Serve(jswire.GroupPrefix+">", a), space.Serve(jswire.CursorPrefix+"*", &cursorAPI{a})
	return func() {
		cursors()
		groups()
	}
}

// groupAPI is what an account's NATS clients ask about groups. The groups and their
// cursors are those of Liftbridge's clients.
type groupAPI struct {
	door    *Door
	account string
	enabled func() bool
}

// groupCall is one request.
type groupCall struct {
	*groupAPI
	ctx  context.Context
	kind jswire.GroupKind
	key  group.Key
	body []byte
}

type groupHandler func(c *groupCall) (any, *jswire.Error)

var groupHandlers = map[jswire.GroupKind]groupHandler{
	jswire.GroupList: groupList, jswire.GroupInfo: groupInfo, jswire.GroupJoin: groupJoin, jswire.GroupLeave: groupLeave,
	jswire.GroupAssignments: groupAssignments, jswire.GroupCommit: groupCommit, jswire.GroupReset: groupReset,
	jswire.GroupDelete: groupDelete,
}

// Handle implements broker.Service.
func (a *groupAPI) Handle(r *broker.Request) {
	kind, token, ok := jswire.ParseGroupRequest(r.Subject)
	if !ok {
		return // as for any subject that nobody serves
	}
	ctx, cancel := context.WithTimeout(context.Background(), groupRequestTimeout)
	defer cancel()
	c := &groupCall{groupAPI: a, ctx: ctx, kind: kind, key: group.Key{Account: a.account, ID: wire.UnescapeName(token)}, body: r.Data}
	response, err := c.answer()
	if err != nil {
		r.Respond(nil, jswire.Encode(kind.Head(err)))
		return
	}
	r.Respond(nil, jswire.Encode(response))
}

func (c *groupCall) answer() (any, *jswire.Error) {
	if !c.enabled() {
		return nil, jswire.Err(jswire.CodeNotEnabledForAccount)
	}
	if len(c.key.ID) > maxGroupName {
		return nil, badGroupRequest("the name of the group is too long")
	}
	return groupHandlers[c.kind](c)
}

func badGroupRequest(what string) *jswire.Error {
	return jswire.GroupErr(jswire.CodeGroupBadRequest, what)
}

// decode reads a body. Nothing that is not known is passed over.
func (c *groupCall) decode(v any) *jswire.Error {
	return jswire.Decoder{MaxBody: maxGroupBody}.Required(c.body, v)
}

// maxGroupBody bounds requests, bytes.
const maxGroupBody = 1 << 20

// failed puts an error into the protocol's words.
func (c *groupCall) failed(err error) *jswire.Error {
	for _, known := range [...]struct {
		is   error
		code int
	}{
		{group.ErrNoGroup, jswire.CodeGroupNotFound}, {group.ErrMember, jswire.CodeGroupMember},
		{group.ErrNotMember, jswire.CodeGroupNotMember}, {group.ErrEpoch, jswire.CodeGroupEpoch},
		{group.ErrNotAssigned, jswire.CodeGroupNotAssigned}, {group.ErrHasMembers, jswire.CodeGroupHasMembers},
		{group.ErrNoStream, jswire.CodeGroupUnknownStream}, {errNoCursors, jswire.CodeGroupNoCursors},
	} {
		if errors.Is(err, known.is) {
			return jswire.GroupErr(known.code, "")
		}
	}
	c.door.log.Error("request about a consumer group failed", "account", c.account, "group", c.key.ID, "request", c.kind, "error", err)
	return jswire.GroupErr(jswire.CodeGroupNotCommitted, err.Error())
}

// member reads a request of a member, or of who wants to be one.
func (c *groupCall) member() (*jswire.GroupMemberRequest, *jswire.Error) {
	r := new(jswire.GroupMemberRequest)
	if werr := c.decode(r); werr != nil {
		return nil, werr
	}
	switch {
	case r.Consumer == "" || len(r.Consumer) > maxGroupName:
		return nil, badGroupRequest("consumer needs a name, of at most 1024 bytes")
	case c.kind != jswire.GroupJoin && r.Streams != nil:
		return nil, badGroupRequest("streams are given when joining")
	}
	return r, nil
}

func groupJoin(c *groupCall) (any, *jswire.Error) {
	r, werr := c.member()
	if werr != nil {
		return nil, werr
	}
	if len(r.Streams) == 0 {
		return nil, badGroupRequest("streams are needed")
	}
	var streams []string
	for _, name := range r.Streams {
		f, k := c.door.resolve(c.account, name)
		switch {
		case f == nil && c.door.unopened(c.account, wire.UnescapeName(name)):
			return nil, c.failed(fmt.Errorf("%s: %w", name, errUnopened))
		case f == nil:
			return nil, jswire.GroupErr(jswire.CodeGroupUnknownStream, name)
		case k >= 0 && len(f.parts) > 1:
			return nil, badGroupRequest(name + " is a partition: a member joins for the stream")
		}
		streams = append(streams, f.name)
	}
	slices.Sort(streams)
	if _, err := c.door.groups.Join(c.ctx, c.key, r.Consumer, slices.Compact(streams)); err != nil {
		return nil, c.failed(err)
	}
	return c.assigned(r.Consumer)
}

func groupLeave(c *groupCall) (any, *jswire.Error) {
	r, werr := c.member()
	if werr != nil {
		return nil, werr
	}
	if err := c.door.groups.Leave(c.ctx, c.key, r.Consumer); err != nil {
		return nil, c.failed(err)
	}
	return &jswire.SuccessResponse{Response: c.kind.Head(nil), Success: true}, nil
}

func groupAssignments(c *groupCall) (any, *jswire.Error) {
	r, werr := c.member()
	if werr != nil {
		return nil, werr
	}
	return c.assigned(r.Consumer)
}

// assigned says what a member reads.
func (c *groupCall) assigned(consumer string) (any, *jswire.Error) {
	a, err := c.door.groups.Current(c.ctx, c.key, consumer)
	if err != nil {
		return nil, c.failed(err)
	}
	resp := &jswire.GroupMemberResponse{
		Response: c.kind.Head(nil), Group: c.key.ID, Consumer: consumer, Epoch: a.Epoch, ConsumerTimeout: c.door.o.ConsumerTimeout,
		Assignments: []jswire.GroupAssignment{},
	}
	for _, p := range placesOf(a.Partitions) {
		one, err := c.assignment(p)
		if err != nil {
			return nil, c.failed(err)
		}
		resp.Assignments = append(resp.Assignments, one)
	}
	return resp, nil
}

func groupCommit(c *groupCall) (any, *jswire.Error) {
	r := new(jswire.GroupCommitRequest)
	if werr := c.decode(r); werr != nil {
		return nil, werr
	}
	if r.Consumer == "" || r.Epoch == nil || len(r.Cursors) == 0 {
		return nil, badGroupRequest("consumer, epoch and cursors are needed")
	}
	places := make([]group.Place, len(r.Cursors))
	for i, cur := range r.Cursors {
		f, k := c.door.resolve(c.account, cur.Name)
		switch {
		case f == nil:
			return nil, jswire.GroupErr(jswire.CodeGroupUnknownStream, cur.Name)
		case k < 0:
			return nil, badGroupRequest(cur.Name + " has partitions: a cursor is of one of them")
		case cur.Last > f.parts[k].Partition().Committed():
			return nil, badGroupRequest(cur.Name + ": last is after the stream's last sequence")
		}
		places[i] = group.Place{Stream: f.name, Partition: k}
	}
	err := c.door.groups.While(c.ctx, c.key, r.Consumer, *r.Epoch, places, func(ctx context.Context) error {
		for i, p := range places {
			if err := c.setCursor(ctx, p, r.Cursors[i].Last); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, c.failed(err)
	}
	return &jswire.SuccessResponse{Response: c.kind.Head(nil), Success: true}, nil
}
