package stan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/subject"
)

// sortWidestFirst sorts patterns so that those that match more come first, literals
// last. Of patterns that overlap, the one whose first wildcard comes earlier is the
// wider one.
func sortWidestFirst(patterns []string) {
	slices.SortFunc(patterns, func(a, b string) int {
		x, y := strings.Split(a, "."), strings.Split(b, ".")
		for i := range min(len(x), len(y)) {
			if c := cmp.Compare(width(y[i]), width(x[i])); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
	})
}

func width(token string) int {
	switch token {
	case ">":
		return 2
	case "*":
		return 1
	}
	return 0
}

// matchesAny says whether one of the patterns matches a channel's name.
func matchesAny(patterns []string, channel string) bool {
	for _, p := range patterns {
		if p == channel || subject.Match(p, channel) {
			return true
		}
	}
	return false
}
