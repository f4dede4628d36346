package liftbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/protobuf/proto"
)

// groupCursorPrefix begins the ids under which groups keep how far they are, as
// Liftbridge's clients do.
const groupCursorPrefix = "__group:"

// resolve finds the stream that JetStream's clients know under a name. k is the
// partition, if it is one's name or the stream has only one; -1: all.
func (d *Door) resolve(account, name string) (f *family, k int32) {
	if s := d.dir.Find(account, name); s != nil {
		m := s.Config().Member
		if m == nil {
			return visible(d.familyOf(s)), 0
		}
		whole := d.dir.Family(account, strings.TrimSuffix(name, stream.PartitionName("", m.Index)))
		if whole == nil {
			return nil, 0
		}
		return visible(d.familyOf(whole[0])), int32(m.Index)
	}
	if whole := d.dir.Family(account, name); whole != nil {
		return visible(d.familyOf(whole[0])), -1
	}
	return nil, 0
}

// visible gives a family that clients may see; nil for one of the door's own.
func visible(f *family) *family {
	if f == nil || f.hidden {
		return nil
	}
	return f
}

// jetStreamName is what JetStream's clients call the stream as a whole.
func (f *family) jetStreamName() string {
	return strings.TrimSuffix(f.parts[0].Name(), stream.PartitionName("", 0))
}

// placesOf lists partitions by stream and number.
func placesOf(all map[string]group.Partitions) []group.Place {
	var out []group.Place
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, n := range all[name] {
			out = append(out, group.Place{Stream: name, Partition: n})
		}
	}
	return out
}

// assignment describes a partition and how far the group is with it.
func (c *groupCall) assignment(p group.Place) (jswire.GroupAssignment, error) {
	a := jswire.GroupAssignment{Stream: wire.EscapeName(p.Stream), Partition: p.Partition}
	f := c.door.find(c.account, p.Stream)
	switch {
	case f != nil && f.part(p.Partition) != nil:
		a.Stream, a.Name = f.jetStreamName(), f.parts[p.Partition].Name()
	case f == nil && c.door.unopened(c.account, p.Stream):
		a.Name = c.door.unopenedName(c.account, p) // it is the member's all the same
	default:
		return a, fmt.Errorf("partition %d of stream %s: %w", p.Partition, p.Stream, stream.ErrNotFound)
	}
	last, set, err := c.cursor(p)
	if err == nil && set {
		a.Last = &last
	}
	return a, err
}

// cursor reads how far the group is with a partition: the last sequence that it is done
// with. false: it never said.
func (c *groupCall) cursor(p group.Place) (last uint64, set bool, err error) {
	f, err := c.door.cursorFamily()
	if err != nil || f == nil {
		return 0, false, err // without an error nothing was ever kept
	}
	at, err := c.door.placeOf(c.ctx, c.account, p.Stream, groupCursorPrefix+c.key.ID, p.Partition)
	if err != nil {
		return 0, false, err
	}
	offset, set, err := at.load()
	return uint64(max(offset, none) + 1), set, err
}

// setCursor keeps how far the group is with a partition.
func (c *groupCall) setCursor(ctx context.Context, p group.Place, last uint64) error {
	if err := c.door.prepareCursors(ctx); err != nil {
		return err
	}
	at, err := c.door.placeOf(ctx, c.account, p.Stream, groupCursorPrefix+c.key.ID, p.Partition)
	if err != nil {
		return err
	}
	offset := int64(last) - 1
	if last == 0 {
		offset = beginning
	}
	return at.store(ctx, &pb.SetCursorRequest{
		Stream: p.Stream, Partition: p.Partition, CursorId: groupCursorPrefix + c.key.ID, Offset: offset,
	})
}

// beginning is the offset of a cursor of whoever has nothing behind it. One below it would
// be no cursor to Liftbridge's clients, who would begin where they are configured to; from
// this one they go on at an offset below 0, which is the first.
const beginning = none - 1

// groupCursor is a cursor of a group as it is kept.
type groupCursor struct {
	group string
	place group.Place
	at    *stream.Stream // that keeps it, in the record seq
	seq   uint64
}

// groupCursors finds the cursors of groups of an account, of one group or of all if its
// name is empty, by group and partition.
func (d *Door) groupCursors(account, id string) ([]groupCursor, error) {
	f, err := d.cursorFamily()
	if err != nil || f == nil {
		return nil, err
	}
	begin := groupCursorPrefix
	if id != "" {
		begin += id + ","
	}
	var out []groupCursor
	for n, s := range f.parts {
		for _, sc := range s.Partition().Subjects(d.cursorSubjects(account, f, int32(n)) + "*") {
			token := sc.Subject[strings.LastIndexByte(sc.Subject, '.')+1:]
			if !strings.HasPrefix(wire.UnescapeName(token), begin) {
				continue
			}
			g, err := readGroupCursor(s, sc.Subject)
			if errors.Is(err, partition.ErrNotFound) {
				continue // it was deleted meanwhile
			}
			if err != nil {
				return nil, fmt.Errorf("read the cursors: %w", err)
			}
			if id == "" || g.group == id {
				out = append(out, g)
			}
		}
	}
	slices.SortFunc(out, func(a, b groupCursor) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.place.Stream, b.place.Stream), cmp.Compare(a.place.Partition, b.place.Partition))
	})
	return out, nil
}

// readGroupCursor reads the cursor under a subject. Names may have commas: what is
// stored says which is which.
func readGroupCursor(s *stream.Stream, subject string) (groupCursor, error) {
	kept, seq, err := readCursor(s, subject)
	if err != nil {
		return groupCursor{}, err
	}
	return groupCursor{
		group: strings.TrimPrefix(kept.CursorId, groupCursorPrefix), place: group.Place{Stream: kept.Stream, Partition: kept.Partition},
		at: s, seq: seq,
	}, nil
}

// readCursor reads the cursor under a subject, and in which record it is.
func readCursor(s *stream.Stream, subject string) (kept *pb.SetCursorRequest, seq uint64, err error) {
	v, err := s.Partition().LastOf(subject)
	if err != nil {
		return nil, 0, err
	}
	kept = new(pb.SetCursorRequest)
	return kept, v.Seq, proto.Unmarshal(v.Data, kept)
}
