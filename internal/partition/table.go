package partition

import (
	"hash/maphash"
	"iter"

	"github.com/weirmq/weir/internal/subject"
)

var hashSeed = maphash.MakeSeed()

// table finds entries by subject. The map is by hash, for which it needs half the
// memory of one by name. The zero value is empty.
type table struct {
	by map[uint64]*entry
	// clash holds entries whose hash another one has.
	clash map[string]*entry
	// coarse takes bits away from hashes, so that a test sees clashes.
	coarse uint64
}

func (t *table) hash(name []byte) uint64 { return maphash.Bytes(hashSeed, name) &^ t.coarse }

func (t *table) len() int { return len(t.by) + len(t.clash) }

// find returns the entry of a subject, nil if there is none.
func (t *table) find(name []byte) *entry {
	if len(t.by) > 0 {
		if e := t.by[t.hash(name)]; e != nil && e.name == string(name) {
			return e
		}
	}
	if len(t.clash) > 0 {
		return t.clash[string(name)]
	}
	return nil
}

// put adds an entry, or replaces the one of its subject.
func (t *table) put(e *entry) {
	if t.by == nil {
		t.by = map[uint64]*entry{}
	}
	name := []byte(e.name)
	h := t.hash(name)
	_, clashes := t.clash[e.name]
	if o := t.by[h]; !clashes && (o == nil || o.name == e.name) {
		t.by[h] = e
		return
	}
	if t.clash == nil {
		t.clash = map[string]*entry{}
	}
	t.clash[e.name] = e
}

// remove takes the entry of a subject out, if there is one.
func (t *table) remove(name []byte) {
	if h := t.hash(name); t.by[h] != nil && t.by[h].name == string(name) {
		delete(t.by, h)
		return
	}
	delete(t.clash, string(name))
}

// matching gives the entries that a pattern matches, in no order; an empty
// pattern matches all.
func (t *table) matching(pattern string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		if pattern != "" && !subject.HasWildcard(pattern) {
			if e := t.find([]byte(pattern)); e != nil {
				yield(e)
			}
			return
		}
		all := pattern == "" || pattern == ">"
		for _, e := range t.by {
			if (all || subject.Match(pattern, e.name)) && !yield(e) {
				return
			}
		}
		for _, e := range t.clash {
			if (all || subject.Match(pattern, e.name)) && !yield(e) {
				return
			}
		}
	}
}
