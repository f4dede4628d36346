package subject

import "slices"

// Filter stands for some subjects: those that one of its patterns stands for, and
// those that are one of its names. It may be used by many goroutines, and is not
// changed once it is in use. nil stands for all.
type Filter struct {
	// Patterns are valid patterns.
	Patterns []string
	// Names are compared as they stand, whatever they are. They rise.
	Names []string
}

// FilterOf gives the filter of some patterns, which it keeps. None stand for all, and so
// does an empty one.
func FilterOf(patterns ...string) *Filter {
	if len(patterns) == 0 || slices.Contains(patterns, "") {
		return nil
	}
	return &Filter{Patterns: patterns}
}

// Broad says that one of the patterns has only wildcards: nearly every subject is one
// that the filter stands for.
func (f *Filter) Broad() bool {
	return f == nil || slices.ContainsFunc(f.Patterns, func(p string) bool {
		for token, rest, last := Cut(p); ; token, rest, last = Cut(rest) {
			if token != AnyToken && token != AnyRest {
				return false
			}
			if last {
				return true
			}
		}
	})
}

// FilterNamed gives the filter of some names, which it sorts and keeps. Without any it
// stands for nothing.
func FilterNamed(names ...string) *Filter {
	slices.Sort(names)
	return &Filter{Names: names}
}

// Matches says whether the filter stands for a literal. It keeps nothing.
func (f *Filter) Matches(literal []byte) bool {
	return f == nil || f.MatchesString(borrow(literal))
}

// MatchesString is Matches for a string.
func (f *Filter) MatchesString(literal string) bool {
	if f == nil {
		return true
	}
	for _, p := range f.Patterns {
		if Match(p, literal) {
			return true
		}
	}
	_, is := slices.BinarySearch(f.Names, literal)
	return is
}
