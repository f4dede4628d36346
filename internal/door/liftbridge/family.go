package liftbridge

import (
	"cmp"
	"slices"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// family is a stream as Liftbridge's clients see it: its partitions. A stream that
// was made through another door is one of a single partition.
type family struct {
	name    string
	subject string
	group   string           // queue group; empty: none
	parts   []*stream.Stream // nil, of what findSome gives: it could not be opened
	native  bool             // it was made by this door or is like those
	hidden  bool             // clients are not shown it
}

// set is what the stream was made with; nil if it was made through another door.
func setOf(s *stream.Stream) *settings {
	if n, ok := s.Native().(*native); ok {
		return &n.set
	}
	return nil
}

// find returns an account's stream by its own name; nil if there is none.
func (d *Door) find(account, name string) *family {
	escaped := wire.EscapeName(name)
	for _, try := range []string{escaped, escaped + ":0", name} {
		s := d.dir.Find(account, try)
		if s == nil {
			continue
		}
		f := d.familyOf(s)
		if f != nil && f.name == name {
			return f
		}
	}
	return nil
}

// findSome is find that gives also a stream of which some partitions could not be opened:
// messages are published to the others, and read there, as ever.
func (d *Door) findSome(account, name string) *family {
	if f := d.find(account, name); f != nil {
		return f
	}
	return d.partial(account, name)
}

// familyOf gives the family of its first partition; nil if some are not there, as
// while it is being deleted.
func (d *Door) familyOf(s *stream.Stream) *family {
	f := newFamily(s)
	m := s.Config().Member
	if m == nil {
		return f
	}
	for k := int32(1); k < int32(m.Count); k++ {
		p := d.dir.Find(s.Account(), wire.PartitionName(f.name, k))
		if p == nil {
			return nil
		}
		f.parts = append(f.parts, p)
	}
	return f
}

// newFamily gives the family of a partition, with this one only.
func newFamily(s *stream.Stream) *family {
	c := s.Config()
	f := &family{name: wire.UnescapeName(s.Name()), group: c.Queue, parts: []*stream.Stream{s}}
	if len(c.Subjects) > 0 {
		f.subject = c.Subjects[0]
	}
	if set := setOf(s); set != nil {
		f.name, f.subject, f.native, f.hidden = set.Name, set.Subject, true, set.Internal
	}
	if c.Member != nil {
		f.name = c.Member.Family
	}
	return f
}

// families returns the streams of an account that clients are shown, by name.
func (d *Door) families(account string) []*family {
	var out []*family
	for _, s := range d.dir.List(account) {
		if m := s.Config().Member; m != nil && m.Index > 0 {
			continue
		}
		if f := d.familyOf(s); f != nil && !f.hidden {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
	return out
}

// part returns a partition, nil if there is none of that number.
func (f *family) part(n int32) *stream.Stream {
	if n < 0 || int(n) >= len(f.parts) {
		return nil
	}
	return f.parts[n]
}

// gone says that the family was found once and is not there any more.
func (f *family) gone() bool {
	return slices.ContainsFunc(f.parts, func(s *stream.Stream) bool { return s != nil && s.Dropped() })
}

// lacks says whether a partition is one that could not be opened.
func (f *family) lacks(n int32) bool {
	return n >= 0 && int(n) < len(f.parts) && f.parts[n] == nil
}

// any is the first partition that there is.
func (f *family) any() *stream.Stream {
	return f.parts[slices.IndexFunc(f.parts, func(s *stream.Stream) bool { return s != nil })]
}

// subjectOf is the subject of a partition: of another door's the first that is no pattern,
// or else the first.
func (f *family) subjectOf(n int32) string {
	all := f.parts[n].Config().Subjects
	if f.native || len(all) == 0 {
		return wire.PartitionSubject(f.subject, n)
	}
	return all[max(slices.IndexFunc(all, subject.ValidLiteral), 0)]
}

// subjectsOf are the subjects of a partition; one that takes none may hold any.
func (f *family) subjectsOf(n int32) []string {
	if f.native {
		return []string{f.subjectOf(n)}
	}
	if s := f.parts[n].Config().Subjects; len(s) > 0 {
		return s
	}
	return []string{">"}
}

// addressable says whether publishing to a family of another door's is publishing on a
// subject of its: it takes some that is no pattern. Its partitions, where it has several,
// have their subjects together, and a publish says which one it is for.
func (f *family) addressable() bool {
	c := f.any().Config()
	return (c.Member == nil || c.Member.Dealt) && slices.ContainsFunc(c.Subjects, subject.ValidLiteral)
}

// unaddressed is what whoever publishes to a family is told that is not addressable.
func (f *family) unaddressed() *fault {
	if len(f.any().Config().Subjects) == 0 {
		return faultNoSubject
	}
	return faultPattern
}

// chosen gives the partitions that a list names, all for none; nil if it names one
// that is not there. Each is given once, in rising order.
func (f *family) chosen(list []int32) []int32 {
	if len(list) == 0 {
		for n := range f.parts {
			list = append(list, int32(n))
		}
		return list
	}
	list = slices.Clone(list)
	slices.Sort(list)
	list = slices.Compact(list)
	for _, n := range list {
		if f.part(n) == nil {
			return nil
		}
	}
	return list
}

// count is group.Options.Count. Members of groups keep a stream that could not be opened.
func (d *Door) count(account, name string) (int, bool) {
	f := d.find(account, name)
	if f == nil && d.unopened(account, name) {
		return 0, true
	}
	if f == nil || f.hidden {
		return 0, false
	}
	return len(f.parts), true
}
