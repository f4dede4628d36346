package liftbridge

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// keptCursor is a cursor of a stream, by its key, and where it is kept.
type keptCursor struct {
	partition int32
	id        string
	at        *stream.Stream
	subject   string
}

// listCursors answers which cursors a stream has. Keys are compared alone; what is stored is
// read of one page.
func (c *groupCall) listCursors() (any, *jswire.Error) {
	q := new(jswire.CursorListRequest)
	if werr := c.decode(q); werr != nil {
		return nil, werr
	}
	if q.Stream == "" || q.Partition != nil && *q.Partition < 0 {
		return nil, badGroupRequest("stream is needed, and a partition is a number from 0 on")
	}
	f, err := c.door.cursorFamily()
	switch {
	case err == nil && f == nil && c.door.o.Cursors <= 0:
		err = errNoCursors
	case err == nil && f == nil:
		f = new(family) // nothing was ever kept
	}
	if err != nil {
		return nil, c.failed(err)
	}
	all := c.cursorsOf(f, q)
	from, to, page := jswire.Page(len(all), q.Offset, jswire.NamesLimit)
	resp := &jswire.CursorListResponse{Response: jswire.CursorList.Head(nil), Paged: page, Cursors: []jswire.CursorPosition{}}
	for _, k := range all[from:to] {
		p, there, err := k.read(q.Stream)
		if err != nil {
			return nil, c.failed(err)
		}
		if there {
			resp.Cursors = append(resp.Cursors, p)
		}
	}
	return resp, nil
}

// cursorsOf finds the cursors of a stream by their keys, by partition and id.
func (c *groupCall) cursorsOf(f *family, q *jswire.CursorListRequest) (all []keptCursor) {
	for n, s := range f.parts {
		begin := c.door.cursorSubjects(c.account, f, int32(n))
		for _, sc := range s.Partition().Subjects(begin + "*") {
			id, number, ok := ofStream(wire.UnescapeName(strings.TrimPrefix(sc.Subject, begin)), q.Stream)
			if ok && (q.Partition == nil || *q.Partition == number) {
				all = append(all, keptCursor{number, id, s, sc.Subject})
			}
		}
	}
	slices.SortFunc(all, func(a, b keptCursor) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.id, b.id))
	})
	return all
}

// ofStream takes the key of a cursor apart if it can be one of a stream. Names may have
// commas: what is stored says of which stream it is.
func ofStream(key, name string) (id string, n int32, ok bool) {
	i := strings.LastIndexByte(key, ',')
	if i < 0 {
		return "", 0, false
	}
	number, err := strconv.ParseInt(key[i+1:], 10, 32)
	if err != nil {
		return "", 0, false
	}
	id, ok = strings.CutSuffix(key[:i], ","+name)
	return id, int32(number), ok
}

// read reads where a cursor is. false: it was deleted meanwhile, or is another stream's.
func (k *keptCursor) read(name string) (jswire.CursorPosition, bool, error) {
	kept, _, err := readCursor(k.at, k.subject)
	if errors.Is(err, partition.ErrNotFound) {
		return jswire.CursorPosition{}, false, nil
	}
	if err != nil {
		return jswire.CursorPosition{}, false, fmt.Errorf("read the cursors: %w", err)
	}
	return jswire.CursorPosition{Partition: kept.Partition, Cursor: kept.CursorId, Offset: kept.Offset}, kept.Stream == name, nil
}
