package liftbridge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/stream"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
)

// optional reads a body that need not be there.
func (c *groupCall) optional(v any) *jswire.Error {
	if len(c.body) == 0 {
		return nil
	}
	return c.decode(v)
}

func groupList(c *groupCall) (any, *jswire.Error) {
	var r jswire.GroupListRequest
	if werr := c.optional(&r); werr != nil {
		return nil, werr
	}
	live, err := c.door.groups.List(c.ctx, c.account)
	if err != nil {
		return nil, c.failed(err)
	}
	kept, err := c.door.groupCursors(c.account, "")
	if err != nil {
		return nil, c.failed(err)
	}
	all := map[string]jswire.GroupSummary{}
	for _, k := range kept {
		all[k.group] = jswire.GroupSummary{Group: k.group}
	}
	for _, g := range live {
		all[g.ID] = jswire.GroupSummary{Group: g.ID, Epoch: g.Epoch, Members: g.Members}
	}
	groups := make([]jswire.GroupSummary, 0, len(all))
	for _, g := range all {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b jswire.GroupSummary) int { return cmp.Compare(a.Group, b.Group) })
	from, to, page := jswire.Page(len(groups), r.Offset, jswire.NamesLimit)
	return &jswire.GroupListResponse{Response: c.kind.Head(nil), Paged: page, Groups: groups[from:to]}, nil
}

func groupInfo(c *groupCall) (any, *jswire.Error) {
	if werr := (jswire.Decoder{}).Empty(c.body); werr != nil {
		return nil, werr
	}
	g, err := c.door.groups.Members(c.ctx, c.key)
	alone := errors.Is(err, group.ErrNoGroup)
	if err != nil && !alone {
		return nil, c.failed(err)
	}
	kept, err := c.door.groupCursors(c.account, c.key.ID)
	if err != nil {
		return nil, c.failed(err)
	}
	if alone && len(kept) == 0 {
		return nil, c.failed(group.ErrNoGroup)
	}
	resp := &jswire.GroupInfoResponse{
		Response: c.kind.Head(nil), Group: c.key.ID, Epoch: g.Epoch, Members: []jswire.GroupMember{}, Partitions: []jswire.GroupPartition{},
	}
	who := c.describeMembers(resp, g.Members)
	for _, k := range kept {
		if _, there := who[k.place]; !there {
			who[k.place] = ""
		}
	}
	for p, consumer := range who {
		part, err := c.progress(p, consumer)
		switch {
		case errors.Is(err, stream.ErrNotFound):
			continue // the stream was deleted; its cursors stay
		case err != nil:
			return nil, c.failed(err)
		}
		resp.Partitions = append(resp.Partitions, part)
	}
	slices.SortFunc(resp.Partitions, func(a, b jswire.GroupPartition) int {
		if a.Stream != b.Stream {
			return cmp.Compare(a.Stream, b.Stream)
		}
		return int(a.Partition - b.Partition)
	})
	return resp, nil
}

// describeMembers puts the members into an answer, and says who reads which partition.
func (c *groupCall) describeMembers(resp *jswire.GroupInfoResponse, members []group.MemberInfo) map[group.Place]string {
	who := map[group.Place]string{}
	for _, m := range members {
		one := jswire.GroupMember{
			Consumer: m.Consumer, Streams: []string{}, Reads: []string{}, Expires: max(time.Duration(m.Deadline-now()), 0),
		}
		for _, s := range m.Streams {
			if f := c.door.find(c.account, s); f != nil {
				one.Streams = append(one.Streams, f.jetStreamName())
			}
		}
		for _, p := range placesOf(m.Assigned) {
			who[p] = m.Consumer
			if f := c.door.find(c.account, p.Stream); f != nil && f.part(p.Partition) != nil {
				one.Reads = append(one.Reads, f.parts[p.Partition].Name())
			}
		}
		resp.Members = append(resp.Members, one)
	}
	return who
}

// progress says how far the group is with a partition.
func (c *groupCall) progress(p group.Place, consumer string) (jswire.GroupPartition, error) {
	a, err := c.assignment(p)
	if err != nil {
		return jswire.GroupPartition{}, err
	}
	part := c.door.find(c.account, p.Stream)
	if part == nil {
		return jswire.GroupPartition{}, stream.ErrNotFound
	}
	log := part.parts[p.Partition].Partition()
	out := jswire.GroupPartition{GroupAssignment: a, Consumer: consumer, End: log.Committed()}
	from := uint64(1)
	if a.Last != nil {
		from = *a.Last + 1
	}
	if from <= out.End {
		out.Lag = log.CountLive(from, out.End)
	}
	return out, nil
}

func groupReset(c *groupCall) (any, *jswire.Error) {
	r := new(jswire.GroupResetRequest)
	if werr := c.decode(r); werr != nil {
		return nil, werr
	}
	if werr := checkReset(r); werr != nil {
		return nil, werr
	}
	resp := &jswire.GroupResetResponse{Response: c.kind.Head(nil), Cursors: []jswire.GroupCursor{}}
	places, werr := c.places(r.Names)
	if werr != nil {
		return nil, werr
	}
	err := c.door.groups.Alone(c.ctx, c.key, func(ctx context.Context) error {
		for _, p := range places {
			f := c.door.find(c.account, p.Stream)
			if f == nil || f.part(p.Partition) == nil {
				continue // its stream was deleted
			}
			s := f.parts[p.Partition]
			last, err := resetTo(s, r)
			if err == nil {
				err = c.setCursor(ctx, p, last)
			}
			if err != nil {
				return err
			}
			resp.Cursors = append(resp.Cursors, jswire.GroupCursor{Name: s.Name(), Last: last})
		}
		return nil
	})
	if err != nil {
		return nil, c.failed(err)
	}
	return resp, nil
}

// checkReset holds a request against what can be asked for.
func checkReset(r *jswire.GroupResetRequest) *jswire.Error {
	switch {
	case r.To != "sequence" && r.Sequence != 0, r.To != "time" && !r.Time.IsZero():
		return badGroupRequest("sequence and time go with to of the same name")
	case r.To == "sequence" && r.Sequence == 0:
		return badGroupRequest("sequence is needed, from 1 on")
	case r.To == "time" && (r.Time.Unix() < 0 || r.Time.Unix() > maxUnix):
		return badGroupRequest("time is needed, from 1970 on")
	case r.To != "first" && r.To != "last" && r.To != "sequence" && r.To != "time":
		return badGroupRequest("to is one of first, last, sequence and time")
	}
	return nil
}

// maxUnix bounds times in seconds so that nanoseconds fit.
const maxUnix = 1 << 33

// resetTo is the last sequence before that at which reading is to go on.
func resetTo(s *stream.Stream, r *jswire.GroupResetRequest) (uint64, error) {
	p := s.Partition()
	switch r.To {
	case "first":
		return max(p.First(), 1) - 1, nil
	case "sequence":
		return min(r.Sequence-1, p.Committed()), nil
	case "time":
		seq, err := p.SeekTime(r.Time.UnixNano())
		return max(seq, 1) - 1, err
	}
	return p.Committed(), nil
}

// places are the partitions that names stand for, those that the group has cursors of
// where there are none.
func (c *groupCall) places(names []string) ([]group.Place, *jswire.Error) {
	var out []group.Place
	for _, name := range names {
		f, k := c.door.resolve(c.account, name)
		if f == nil {
			return nil, jswire.GroupErr(jswire.CodeGroupUnknownStream, name)
		}
		for n := range int32(len(f.parts)) {
			if k < 0 || k == n {
				out = append(out, group.Place{Stream: f.name, Partition: n})
			}
		}
	}
	if len(names) > 0 {
		return out, nil
	}
	kept, err := c.door.groupCursors(c.account, c.key.ID)
	switch {
	case err != nil:
		return nil, c.failed(err)
	case len(kept) == 0:
		return nil, c.failed(group.ErrNoGroup)
	}
	for _, k := range kept {
		out = append(out, k.place)
	}
	return out, nil
}

func groupDelete(c *groupCall) (any, *jswire.Error) {
	if werr := (jswire.Decoder{}).Empty(c.body); werr != nil {
		return nil, werr
	}
	err := c.door.groups.Alone(c.ctx, c.key, func(ctx context.Context) error {
		kept, err := c.door.groupCursors(c.account, c.key.ID)
		if err == nil && len(kept) == 0 {
			err = group.ErrNoGroup
		}
		for _, k := range kept {
			if err == nil {
				err = k.at.Delete(ctx, k.seq)
			}
		}
		return err
	})
	if err != nil {
		return nil, c.failed(err)
	}
	return &jswire.SuccessResponse{Response: c.kind.Head(nil), Success: true}, nil
}
