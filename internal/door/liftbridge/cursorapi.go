package liftbridge

import (
	"context"
	"errors"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/partition"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
)

// cursorAPI is what an account's NATS clients ask about cursors, which are those of
// Liftbridge's clients.
type cursorAPI struct{ *groupAPI }

// Handle implements broker.Service.
func (a *cursorAPI) Handle(r *broker.Request) {
	kind := jswire.CursorKind(r.Subject[len(jswire.CursorPrefix):])
	if kind != jswire.CursorGet && kind != jswire.CursorSet && kind != jswire.CursorList {
		return // as for any subject that nobody serves
	}
	ctx, cancel := context.WithTimeout(context.Background(), groupRequestTimeout)
	defer cancel()
	c := &groupCall{groupAPI: a.groupAPI, ctx: ctx, kind: jswire.GroupKind(kind), key: group.Key{Account: a.account}, body: r.Data}
	response, err := c.cursorAnswer(kind)
	if err != nil {
		r.Respond(nil, jswire.Encode(kind.Head(err)))
		return
	}
	r.Respond(nil, jswire.Encode(response))
}

func (c *groupCall) cursorAnswer(kind jswire.CursorKind) (any, *jswire.Error) {
	if !c.enabled() {
		return nil, jswire.Err(jswire.CodeNotEnabledForAccount)
	}
	if kind == jswire.CursorList {
		return c.listCursors()
	}
	q := new(jswire.CursorRequest)
	if werr := c.decode(q); werr != nil {
		return nil, werr
	}
	switch {
	case q.Stream == "" || q.Cursor == "" || q.Partition < 0:
		return nil, badGroupRequest("stream, partition and cursor are needed")
	case (kind == jswire.CursorSet) != (q.Offset != nil), kind == jswire.CursorGet && q.Keep:
		return nil, badGroupRequest("offset is needed to set a cursor, and only then; so is keep")
	}
	resp := &jswire.CursorResponse{Response: kind.Head(nil)}
	err := c.getOrSet(q, resp)
	switch {
	case errors.Is(err, errLongCursor):
		return nil, badGroupRequest(err.Error())
	case err != nil:
		return nil, c.failed(err)
	}
	return resp, nil
}

// getOrSet does what a request about a cursor asks for.
func (c *groupCall) getOrSet(q *jswire.CursorRequest, resp *jswire.CursorResponse) error {
	f, err := c.door.cursorFamily()
	if err != nil || f == nil && q.Offset == nil && c.door.o.Cursors > 0 {
		return err // without one nothing was ever kept
	}
	if err := c.door.prepareCursors(c.ctx); err != nil {
		return err
	}
	at, err := c.door.placeOf(c.ctx, c.account, q.Stream, q.Cursor, q.Partition)
	if err != nil {
		return err
	}
	if resp.Offset = q.Offset; q.Offset != nil {
		var only *partition.Conditions
		if q.Keep {
			only = &partition.Conditions{HasOfSubj: true} // the first of its subject
		}
		o, err := at.put(c.ctx, &pb.SetCursorRequest{Stream: q.Stream, Partition: q.Partition, CursorId: q.Cursor, Offset: *q.Offset}, only)
		if err != nil || o.Refusal != partition.WrongLastOfSubject {
			return errors.Join(err, refusalError(o))
		}
		resp.Kept = true
	}
	offset, set, err := at.load()
	if resp.Offset = nil; set {
		resp.Offset = &offset
	}
	return err
}
