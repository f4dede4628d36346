package subject

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Errors of ParseTransform: which of the two is wrong.
var (
	ErrTransformSource = errors.New("invalid transform source")
	ErrTransformTarget = errors.New("invalid transform destination")
)

// Transform maps the subjects that a pattern matches to others. It may be used by
// many goroutines.
type Transform struct {
	source string
	parts  []part // none: subjects stay as they are
}

// part is one token of a destination, or what stands in its place.
type part struct {
	kind  partKind
	text  string // of a literal; the separator of a split
	token int    // the source's token, from 0 on
	n     int
	hash  []int // tokens of a partition; none: all
}

type partKind uint8

const (
	partLiteral partKind = iota
	partToken
	partRest
	partPartition
	partSplit
	partSplitLeft
	partSplitRight
	partSliceLeft
	partSliceRight
	partLeft
	partRight
	partRandom
)

// functions by name in lower case, with the number of their arguments; -1: one or
// more.
var functions = map[string]struct {
	kind partKind
	args int
}{
	"wildcard":       {partToken, 1},
	"partition":      {partPartition, -1},
	"split":          {partSplit, 2},
	"splitfromleft":  {partSplitLeft, 2},
	"splitfromright": {partSplitRight, 2},
	"slicefromleft":  {partSliceLeft, 2},
	"slicefromright": {partSliceRight, 2},
	"left":           {partLeft, 2},
	"right":          {partRight, 2},
	"random":         {partRandom, 1},
}

// ParseTransform reads a transform. An empty source is all subjects, an empty
// destination changes nothing. Tokens of the destination are literals, $1 for the
// token that the source's first wildcard matched, or functions such as
// {{partition(3,1)}}; wildcards count from 1. A ">" stands for the rest on both
// sides or on neither. Errors wrap ErrTransformSource or ErrTransformTarget.
func ParseTransform(source, target string) (*Transform, error) {
	if source == "" {
		source = ">"
	}
	if !ValidPattern(source) {
		return nil, fmt.Errorf("%w: %q is no subject", ErrTransformSource, source)
	}
	t := &Transform{source: source}
	if target == "" {
		return t, nil
	}
	var stars []int
	rest := false
	for i, token := range strings.Split(source, ".") {
		switch token {
		case "*":
			stars = append(stars, i)
		case ">":
			rest = true
		}
	}
	tokens := strings.Split(target, ".")
	for i, token := range tokens {
		p, err := parsePart(token, stars)
		if err == nil && p.kind == partRest && i < len(tokens)-1 {
			err = errors.New("'>' is not the last token")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrTransformTarget, target, err)
		}
		t.parts = append(t.parts, p)
	}
	if (t.parts[len(t.parts)-1].kind == partRest) != rest {
		return nil, fmt.Errorf("%w: %q: '>' must end source and destination, or neither", ErrTransformTarget, target)
	}
	return t, nil
}

// parsePart reads a token of a destination.
func parsePart(token string, stars []int) (part, error) {
	switch {
	case token == ">":
		return part{kind: partRest}, nil
	case token == "*":
		return part{}, errors.New("a wildcard says nothing here")
	case len(token) > 1 && token[0] == '$':
		if n, err := strconv.Atoi(token[1:]); err == nil {
			at, err := star(n, stars)
			return part{kind: partToken, token: at}, err
		}
	case strings.HasPrefix(token, "{{") && strings.HasSuffix(token, "}}"):
		return parseFunction(strings.TrimSpace(token[2:len(token)-2]), stars)
	}
	if !ValidLiteral(token) {
		return part{}, fmt.Errorf("%q is no token", token)
	}
	return part{kind: partLiteral, text: token}, nil
}

// star is the token of the n-th wildcard, from 1 on.
func star(n int, stars []int) (int, error) {
	if n < 1 || n > len(stars) {
		return 0, fmt.Errorf("there is no wildcard %d", n)
	}
	return stars[n-1], nil
}

func parseFunction(s string, stars []int) (part, error) {
	name, list, ok := strings.Cut(strings.TrimSuffix(s, ")"), "(")
	f, known := functions[strings.ToLower(strings.TrimSpace(name))]
	if !ok || !known || !strings.HasSuffix(s, ")") {
		return part{}, fmt.Errorf("unknown function %q", s)
	}
	args := strings.Split(list, ",")
	if f.args > 0 && len(args) != f.args {
		return part{}, fmt.Errorf("%s takes %d arguments", name, f.args)
	}
	p := part{kind: f.kind}
	if f.kind == partSplit {
		p.text = strings.TrimSpace(args[1])
		if p.text == "" {
			return p, errors.New("an empty separator")
		}
		args = args[:1]
	}
	numbers := make([]int, len(args))
	for i, a := range args {
		n, err := strconv.ParseInt(strings.TrimSpace(a), 10, 32)
		if err != nil {
			return p, fmt.Errorf("%q is no number", a)
		}
		numbers[i] = int(n)
	}
	return p.with(numbers, stars)
}

// with sets the numbers of a function.
func (p part) with(numbers, stars []int) (part, error) {
	var err error
	switch p.kind {
	case partPartition, partRandom:
		if p.n = numbers[0]; p.n < 1 {
			return p, errors.New("a count below 1")
		}
		for _, n := range numbers[1:] {
			at, err := star(n, stars)
			if err != nil {
				return p, err
			}
			p.hash = append(p.hash, at)
		}
		return p, nil
	case partToken, partSplit:
	default:
		if p.n = numbers[1]; p.n < 1 {
			return p, errors.New("a length below 1")
		}
	}
	p.token, err = star(numbers[0], stars)
	return p, err
}

// Source is the pattern of the subjects that the transform maps.
func (t *Transform) Source() string { return t.source }

// Append adds what a subject is mapped to; false, and nothing added, where the
// source does not match it. chance is what the function random takes its number
// from.
func (t *Transform) Append(dst []byte, s string, chance uint32) ([]byte, bool) {
	if !Match(t.source, s) {
		return dst, false
	}
	if len(t.parts) == 0 {
		return append(dst, s...), true
	}
	tokens := strings.Split(s, ".")
	fixed := strings.Count(t.source, ".") // tokens before a '>'
	for i := range t.parts {
		if i > 0 {
			dst = append(dst, '.')
		}
		if t.parts[i].kind == partRest {
			dst = append(dst, strings.Join(tokens[fixed:], ".")...)
			break
		}
		dst = t.parts[i].append(dst, s, tokens, chance)
	}
	return dst, true
}

func (p *part) append(dst []byte, s string, tokens []string, chance uint32) []byte {
	token := tokens[p.token]
	switch p.kind {
	case partLiteral:
		return append(dst, p.text...)
	case partPartition:
		return strconv.AppendUint(dst, uint64(p.sum(s, tokens)%uint32(p.n)), 10)
	case partRandom:
		return strconv.AppendUint(dst, uint64(chance%uint32(p.n)), 10)
	case partSplit:
		pieces := strings.FieldsFunc(strings.ReplaceAll(token, p.text, "\x00"), func(r rune) bool { return r == 0 })
		if len(pieces) > 0 {
			token = strings.Join(pieces, ".")
		}
	case partSplitLeft:
		return appendCut(dst, token, p.n)
	case partSplitRight:
		return appendCut(dst, token, len(token)-p.n)
	case partSliceLeft:
		return appendSlices(dst, token, p.n, p.n)
	case partSliceRight:
		return appendSlices(dst, token, len(token)%p.n, p.n)
	case partLeft:
		token = token[:min(p.n, len(token))]
	case partRight:
		token = token[max(len(token)-p.n, 0):]
	case partToken, partRest:
	}
	return append(dst, token...)
}

// sum is the hash that a partition is chosen by.
func (p *part) sum(s string, tokens []string) uint32 {
	h := fnv.New32a()
	if len(p.hash) == 0 {
		h.Write([]byte(s))
	}
	for _, at := range p.hash {
		h.Write([]byte(tokens[at]))
	}
	return h.Sum32()
}

// appendCut makes two tokens of one, if both have something.
func appendCut(dst []byte, token string, at int) []byte {
	if at <= 0 || at >= len(token) {
		return append(dst, token...)
	}
	dst = append(append(dst, token[:at]...), '.')
	return append(dst, token[at:]...)
}

// appendSlices makes tokens of n bytes of one, the first of them of first bytes,
// unless that is 0.
func appendSlices(dst []byte, token string, first, n int) []byte {
	if first > 0 && first < len(token) {
		dst = append(append(dst, token[:first]...), '.')
		token = token[first:]
	}
	for len(token) > n {
		dst = append(append(dst, token[:n]...), '.')
		token = token[n:]
	}
	return append(dst, token...)
}
