package subject

import "strings"

const (
	// AnyToken is the pattern token that stands for any one token.
	AnyToken = "*"
	// AnyRest is the pattern token that stands for one or more tokens. It is
	// special only as the last token.
	AnyRest = ">"
)

// Cut splits s after its first token. last says that no further token follows;
// rest is then empty. The token is empty where s starts with a dot or is empty.
func Cut(s string) (token, rest string, last bool) {
	if i := strings.IndexByte(s, '.'); i >= 0 {
		return s[:i], s[i+1:], false
	}
	return s, "", true
}

// Tokens counts the tokens of s, empty ones included; it is at least one.
func Tokens(s string) int {
	return strings.Count(s, ".") + 1
}

// forbidden says whether c may not stand in a token.
func forbidden(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'
}
