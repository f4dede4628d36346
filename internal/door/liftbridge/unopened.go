package liftbridge

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A stream of which some partition could not be opened is none that find knows. It is not
// to be taken for one that was never made, or deleted: clients would make it anew, or forget
// it. Its other partitions serve publishers and readers all the same (findSome).

// errUnopened says that a stream is there, and could not be opened.
var errUnopened = errors.New("the stream could not be opened: the server's log says why")

// unopened says whether partitions of a stream that find does not know are there, and
// could not be opened.
func (d *Door) unopened(account, name string) bool {
	escaped := wire.EscapeName(name)
	for k := range d.dir.BrokenOf(account) {
		if k == escaped || strings.HasPrefix(k, escaped+":") {
			return true
		}
	}
	return false
}

// partial gives a stream of which some partitions, and not all, could not be opened; nil if
// it is none.
func (d *Door) partial(account, name string) *family {
	prefix, broken := wire.EscapeName(name)+":", d.dir.BrokenOf(account)
	tries := 1 // of so many partitions one is no broken one
	for k := range broken {
		if strings.HasPrefix(k, prefix) {
			tries++
		}
	}
	for k := range int32(tries) {
		s := d.dir.Find(account, wire.PartitionName(name, k))
		if s == nil || s.Config().Member == nil || s.Config().Member.Family != name {
			continue
		}
		f := newFamily(s)
		f.parts = make([]*stream.Stream, s.Config().Member.Count)
		for i := range f.parts {
			p := wire.PartitionName(name, int32(i))
			if f.parts[i] = d.dir.Find(account, p); f.parts[i] == nil && broken[p] == nil {
				return nil // it is being deleted
			}
		}
		return f
	}
	return nil
}

// unopenedName is what JetStream's clients know a partition by of a stream that could not be
// opened.
func (d *Door) unopenedName(account string, p group.Place) string {
	name := wire.EscapeName(p.Stream)
	if _, alone := d.dir.BrokenOf(account)[name]; alone {
		return name
	}
	return stream.PartitionName(name, int(p.Partition))
}

// unknown is what a publisher to a stream that find does not know is told.
func (d *Door) unknown(account, name string) *fault {
	if d.unopened(account, name) {
		return faultUnopened(name)
	}
	return faultUnknownStream(name)
}

// absent is how a call ends that is about a stream that find does not know: NOT_FOUND with a
// text, if it is not there.
func (d *Door) absent(account, name, text string) error {
	if d.unopened(account, name) {
		return faultUnopened(name).status()
	}
	return status.Error(codes.NotFound, text)
}

// unopenedStreams gives the streams of an account of which find knows nothing since they
// could not be opened, with how many partitions they have.
func (d *Door) unopenedStreams(account string) map[string]int {
	out := map[string]int{}
	for name := range d.dir.BrokenOf(account) {
		index := 0
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			if n, err := strconv.Atoi(name[i+1:]); err == nil && name == stream.PartitionName(name[:i], n) {
				name, index = name[:i], n
			}
		}
		name = wire.UnescapeName(name)
		out[name] = max(out[name], index+1)
	}
	if len(out) == 0 {
		return nil
	}
	for _, s := range d.dir.List(account) {
		if m := s.Config().Member; m != nil && out[m.Family] > 0 {
			out[m.Family] = m.Count // those that could be opened know
		}
	}
	delete(out, groupsStream)
	return out
}

// unopenedMetadata describes a stream that could not be opened: where its partitions are, so
// that clients ask there and are told.
func (d *Door) unopenedMetadata(name string, partitions int) *pb.StreamMetadata {
	m := &pb.StreamMetadata{Name: name, Partitions: make(map[int32]*pb.PartitionMetadata, partitions)}
	for n := range int32(partitions) {
		p := d.partitionPlace(n)
		p.HighWatermark, p.NewestOffset = none, none
		m.Partitions[n] = p
	}
	return m
}

// remains gives a stream of which some or all partitions could not be opened, to delete it;
// nil if there is none of that name that clients are shown.
func (d *Door) remains(account, name string) *stream.Remains {
	for _, try := range []string{wire.EscapeName(name), name} {
		r := d.dir.Remains(account, try)
		switch {
		case r == nil || r.Member != nil: // a partition is no stream of its own
		case r.Family == nil && wire.UnescapeName(r.Name) != name, r.Family != nil && r.Family.Family != name:
		case slices.ContainsFunc(r.Parts, func(p stream.Part) bool { s := madeWith(&p); return s != nil && s.Internal }):
		default:
			return r
		}
	}
	return nil
}

// madeWith is what a partition was made with; nil if it was made through another door.
func madeWith(p *stream.Part) *settings {
	if p.Stream != nil {
		return setOf(p.Stream)
	}
	if p.Made == nil || p.Made.Dialect != DialectName {
		return nil
	}
	var js struct {
		Metadata map[string]string `json:"metadata"`
	}
	if json.Unmarshal(p.Made.Doc, &js) != nil {
		return nil
	}
	set, err := wire.ReadSettings(js.Metadata)
	if err != nil {
		return nil
	}
	return &set
}

// altersRemains is alters for a stream of which some or all partitions could not be opened.
// The subject of those made through this door never changes. What others take that could not
// be opened nobody knows: who may publish anything may delete them.
func (c *caller) altersRemains(r *stream.Remains) bool {
	if c.May == nil {
		return true
	}
	for i := range r.Parts {
		p := &r.Parts[i]
		subjects := []string{">"}
		if set := madeWith(p); set != nil {
			subjects = []string{wire.PartitionSubject(set.Subject, set.Partition)}
		} else if p.Stream != nil {
			subjects = newFamily(p.Stream).subjectsOf(0)
		}
		if slices.ContainsFunc(subjects, func(s string) bool { return !c.May.MayPublishAll(s) }) {
			return false
		}
	}
	return true
}
