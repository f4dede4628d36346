package jetstream

import "strings"

// The rules of subjects that validation of configurations needs. Tokens are
// separated by dots; a token "*" stands for one token, ">" at the end for one or
// more.

// validSubject says whether s may be subscribed: no empty token, ">" only at the
// end, no white space.
func validSubject(s string) bool {
	if s == "" || strings.ContainsAny(s, " \t\r\n\f\x00") {
		return false
	}
	for more := true; more; {
		var token string
		token, s, more = strings.Cut(s, ".")
		if token == "" || token == ">" && more {
			return false
		}
	}
	return true
}

// literalSubject says whether s may be published: valid and without wildcards.
func literalSubject(s string) bool {
	if !validSubject(s) {
		return false
	}
	for more := true; more; {
		var token string
		token, s, more = strings.Cut(s, ".")
		if token == "*" || token == ">" {
			return false
		}
	}
	return true
}

// subjectsOverlap says whether some subject matches both patterns.
func subjectsOverlap(a, b string) bool {
	for {
		ta, ra, ma := strings.Cut(a, ".")
		tb, rb, mb := strings.Cut(b, ".")
		if ta == ">" || tb == ">" {
			return true
		}
		if ta != tb && ta != "*" && tb != "*" {
			return false
		}
		if !ma || !mb {
			return ma == mb
		}
		a, b = ra, rb
	}
}

// subjectContains says whether outer matches everything that inner matches.
func subjectContains(outer, inner string) bool {
	for {
		to, ro, mo := strings.Cut(outer, ".")
		ti, ri, mi := strings.Cut(inner, ".")
		if to == ">" {
			return true
		}
		if ti == ">" || to != ti && to != "*" {
			return false
		}
		if !mo || !mi {
			return mo == mi
		}
		outer, inner = ro, ri
	}
}

// firstOverlap finds two of the valid subjects that overlap, the first time this
// happens. Its cost is linear as long as none has wildcards.
func firstOverlap(subjects []string) (a, b string, found bool) {
	seen := make(map[string]struct{}, len(subjects))
	var wild []string
	for i, s := range subjects {
		if _, twice := seen[s]; twice {
			return s, s, true
		}
		seen[s] = struct{}{}
		against := wild
		if !literalSubject(s) {
			wild = append(wild, s)
			against = subjects[:i]
		}
		for _, other := range against {
			if subjectsOverlap(s, other) {
				return s, other, true
			}
		}
	}
	return "", "", false
}

// MaxNameLen is the longest name of a stream or consumer, in bytes.
const MaxNameLen = 255

// ValidName says whether s may name a stream or a consumer, its length apart.
func ValidName(s string) bool {
	return s != "" && !strings.ContainsAny(s, " \t\r\n\f.*>\\/")
}

// hasPathSeparator finds what would make a name a path.
func hasPathSeparator(s string) bool { return strings.ContainsAny(s, `/\`) }
