package subject

// ValidPattern says whether s may be subscribed to: no token is empty, ">" is
// the last token wherever it is one, and no byte is a space, tab, carriage
// return, line feed or form feed.
func ValidPattern(s string) bool {
	valid, _ := inspect(s)
	return valid
}

// ValidLiteral says whether s is a valid pattern without wildcards.
func ValidLiteral(s string) bool {
	valid, wild := inspect(s)
	return valid && !wild
}

// HasWildcard says whether some token of s is exactly "*" or ">".
func HasWildcard(s string) bool {
	for {
		token, rest, last := Cut(s)
		if token == AnyToken || token == AnyRest {
			return true
		}
		if last {
			return false
		}
		s = rest
	}
}

// inspect reads s once. Where valid is false, wild means nothing.
func inspect(s string) (valid, wild bool) {
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if forbidden(s[i]) {
				return false, false
			}
			continue
		}
		switch s[start:i] {
		case "":
			return false, false
		case AnyToken:
			wild = true
		case AnyRest:
			if i < len(s) {
				return false, false
			}
			wild = true
		}
		start = i + 1
	}
	return true, wild
}
