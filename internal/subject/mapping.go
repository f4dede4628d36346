package subject

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrMapping says that two patterns do not name the same subjects.
var ErrMapping = errors.New("invalid mapping")

// Mapping renames the subjects of a pattern, one to one: each wildcard of the one
// name stands for the same token in the other. It may be used by many goroutines.
type Mapping struct{ from, to shape }

// shape is one of a Mapping's names.
type shape struct {
	slots []slot
	rest  bool // a ">" follows
}

// slot is a token: a literal, or where star is not 0 what the wildcard of that
// number stands for.
type slot struct {
	text string
	star int
}

// ParseMapping reads a mapping from a pattern to another name for what it stands
// for. There, $1, {{wildcard(1)}} or a "*" stand for a wildcard of the pattern, the
// "*" for the next in order. All must stand there once. An empty name, or the same,
// renames nothing. Errors wrap ErrMapping.
func ParseMapping(pattern, name string) (*Mapping, error) {
	if !ValidPattern(pattern) {
		return nil, fmt.Errorf("%w: %q is no subject", ErrMapping, pattern)
	}
	if name == "" {
		name = pattern
	}
	m := &Mapping{}
	stars := 0
	for _, token := range strings.Split(pattern, ".") {
		switch token {
		case AnyRest:
			m.from.rest = true
		case AnyToken:
			stars++
			m.from.slots = append(m.from.slots, slot{star: stars})
		default:
			m.from.slots = append(m.from.slots, slot{text: token})
		}
	}
	if err := m.to.read(name, stars); err != nil {
		return nil, err
	}
	if m.from.rest != m.to.rest {
		return nil, fmt.Errorf("%w: %q and %q must both end in '>', or neither", ErrMapping, pattern, name)
	}
	return m, nil
}

// read reads a name that has to use a number of wildcards.
func (s *shape) read(name string, stars int) error {
	used := make([]bool, stars+1)
	count := 0
	tokens := strings.Split(name, ".")
	for i, token := range tokens {
		star, text := 0, ""
		switch n, numbered := wildcardNumber(token); {
		case token == AnyRest && i == len(tokens)-1:
			s.rest = true
			continue
		case token == AnyToken:
			star = count + 1
		case numbered:
			star = n
		case !ValidLiteral(token):
			return fmt.Errorf("%w: %q in %q is no token", ErrMapping, token, name)
		default:
			text = token
		}
		if text == "" {
			if star < 1 || star > stars || used[star] {
				return fmt.Errorf("%w: %q uses a wildcard that is not there, or twice", ErrMapping, name)
			}
			used[star] = true
			count++
		}
		s.slots = append(s.slots, slot{text: text, star: star})
	}
	if count != stars {
		return fmt.Errorf("%w: %q does not use all %d wildcards", ErrMapping, name, stars)
	}
	return nil
}

// wildcardNumber reads "$1" and "{{wildcard(1)}}".
func wildcardNumber(token string) (n int, ok bool) {
	digits := ""
	switch {
	case strings.HasPrefix(token, "$"):
		digits = token[1:]
	case strings.HasPrefix(token, "{{") && strings.HasSuffix(token, "}}"):
		f, arg, _ := strings.Cut(strings.TrimSpace(token[2:len(token)-2]), "(")
		if !strings.EqualFold(strings.TrimSpace(f), "wildcard") {
			return 0, false
		}
		digits = strings.TrimSpace(strings.TrimSuffix(arg, ")"))
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// Inverse is the mapping the other way round.
func (m *Mapping) Inverse() *Mapping { return &Mapping{from: m.to, to: m.from} }

// From and To are the patterns of the subjects before and after.
func (m *Mapping) From() string { return m.from.pattern() }

// To is the pattern of the subjects after.
func (m *Mapping) To() string { return m.to.pattern() }

// String writes the mapping: equal mappings have equal texts.
func (m *Mapping) String() string { return m.from.text() + " " + m.to.text() }

func (s *shape) text() string {
	numbered := make([]string, len(s.slots))
	for _, t := range s.slots {
		if t.star != 0 {
			numbered[t.star-1] = "$" + strconv.Itoa(t.star)
		}
	}
	return s.fill(numbered, AnyRest)
}

func (s *shape) pattern() string {
	tokens := make([]string, 0, len(s.slots)+1)
	for _, t := range s.slots {
		if t.star != 0 {
			t.text = AnyToken
		}
		tokens = append(tokens, t.text)
	}
	if s.rest {
		tokens = append(tokens, AnyRest)
	}
	return strings.Join(tokens, ".")
}

// Append adds the other name of a literal; false, and nothing added, where the
// mapping does not speak of it. It keeps nothing, and allocates nothing where dst
// has room and there are up to 16 wildcards.
func (m *Mapping) Append(dst, literal []byte) ([]byte, bool) {
	var room [16][]byte
	stars := room[:0]
	if n := len(m.from.slots); n > len(room) {
		stars = make([][]byte, 0, n)
	}
	stars = stars[:cap(stars)]
	rest, ok := m.from.bind(stars, literal)
	if !ok {
		return dst, false
	}
	for i, t := range m.to.slots {
		if i > 0 {
			dst = append(dst, '.')
		}
		if t.star != 0 {
			dst = append(dst, stars[t.star-1]...)
		} else {
			dst = append(dst, t.text...)
		}
	}
	if m.to.rest {
		if len(m.to.slots) > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, rest...)
	}
	return dst, true
}

// bind matches a literal and notes what the wildcards stand for.
func (s *shape) bind(stars [][]byte, literal []byte) (rest []byte, ok bool) {
	at, done := 0, false
	for _, t := range s.slots {
		if done {
			return nil, false
		}
		end := at
		for end < len(literal) && literal[end] != '.' {
			end++
		}
		token := literal[at:end]
		if done = end == len(literal); !done {
			at = end + 1
		}
		switch {
		case len(token) == 0:
			return nil, false
		case t.star != 0:
			stars[t.star-1] = token
		case t.text != string(token):
			return nil, false
		}
	}
	if !s.rest {
		return nil, done
	}
	if done || emptyToken(borrow(literal), at) {
		return nil, false
	}
	return literal[at:], true
}

// Pattern gives the other name of what a pattern and the mapping both speak of;
// false where there is nothing.
func (m *Mapping) Pattern(pattern string) (string, bool) {
	stars := make([]string, len(m.from.slots))
	rest := ""
	tokens := strings.Split(pattern, ".")
	for i := 0; ; i++ {
		ours, theirs := i == len(m.from.slots), i >= len(tokens)
		switch {
		case ours && theirs:
			if m.from.rest {
				return "", false
			}
			return m.to.fill(stars, ""), true
		case theirs:
			return "", false
		case tokens[i] == AnyRest && i == len(tokens)-1:
			if ours && !m.from.rest {
				return "", false
			}
			for _, t := range m.from.slots[i:] {
				if t.star != 0 {
					stars[t.star-1] = AnyToken
				}
			}
			if m.from.rest {
				rest = AnyRest
			}
			return m.to.fill(stars, rest), true
		case ours:
			if !m.from.rest {
				return "", false
			}
			return m.to.fill(stars, strings.Join(tokens[i:], ".")), true
		case m.from.slots[i].star != 0:
			stars[m.from.slots[i].star-1] = tokens[i]
		case tokens[i] != AnyToken && tokens[i] != m.from.slots[i].text:
			return "", false
		}
	}
}

func (s *shape) fill(stars []string, rest string) string {
	tokens := make([]string, 0, len(s.slots)+1)
	for _, t := range s.slots {
		if t.star != 0 {
			t.text = stars[t.star-1]
		}
		tokens = append(tokens, t.text)
	}
	if s.rest {
		tokens = append(tokens, rest)
	}
	return strings.Join(tokens, ".")
}
