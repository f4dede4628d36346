package subject

import "unsafe"

// Match says whether pattern stands for literal. The pattern must be valid; the
// literal may be anything: wildcards in it are ordinary tokens, and one that has
// an empty token is matched by nothing.
func Match(pattern, literal string) bool {
	p, l := 0, 0 // both at the start of a token
	for {
		pe := tokenEnd(pattern, p)
		if pe == len(pattern) && pattern[p:] == AnyRest {
			return !emptyToken(literal, l)
		}
		le := tokenEnd(literal, l)
		if le == l {
			return false
		}
		if pattern[p:pe] != literal[l:le] && pattern[p:pe] != AnyToken {
			return false
		}
		if pe == len(pattern) || le == len(literal) {
			return pe == len(pattern) && le == len(literal)
		}
		p, l = pe+1, le+1
	}
}

// MatchBytes is Match for a literal that stands in a buffer. It keeps nothing.
func MatchBytes(pattern string, literal []byte) bool {
	return Match(pattern, borrow(literal))
}

// borrow gives bytes as a string that is valid for as long as they are unchanged.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Contains says whether outer stands for everything that inner stands for. Both
// must be valid patterns.
func Contains(outer, inner string) bool {
	for {
		o, outerRest, outerLast := Cut(outer)
		if outerLast && o == AnyRest {
			return true
		}
		i, innerRest, innerLast := Cut(inner)
		if innerLast && i == AnyRest {
			return false
		}
		if o != i && o != AnyToken {
			return false
		}
		if outerLast || innerLast {
			return outerLast && innerLast
		}
		outer, inner = outerRest, innerRest
	}
}

// Overlap says whether some subject is matched by both a and b. Both must be
// valid patterns.
func Overlap(a, b string) bool {
	for {
		x, aRest, aLast := Cut(a)
		y, bRest, bLast := Cut(b)
		if (aLast && x == AnyRest) || (bLast && y == AnyRest) {
			return true
		}
		if x != y && x != AnyToken && y != AnyToken {
			return false
		}
		if aLast || bLast {
			return aLast && bLast
		}
		a, b = aRest, bRest
	}
}

// tokenEnd gives the index of the dot that ends the token at start, or len(s).
func tokenEnd(s string, start int) int {
	for i := start; i < len(s); i++ {
		if s[i] == '.' {
			return i
		}
	}
	return len(s)
}

// emptyToken says whether a token of s from start on is empty.
func emptyToken(s string, start int) bool {
	before := byte('.')
	for i := start; i < len(s); i++ {
		if s[i] == '.' && before == '.' {
			return true
		}
		before = s[i]
	}
	return before == '.'
}
