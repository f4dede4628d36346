package routing

import "bytes"

// Match gives the values of all patterns that stand for subject. The result is
// immutable and may be shared. Wildcards in subject are literals; a subject with an
// empty token is matched by nothing. It keeps nothing of subject.
func (t *Table[T]) Match(subject []byte) *Result[T] {
	if emptyToken(subject) {
		return t.none[0]
	}
	var room [8]*leaf[T]
	m := matcher[T]{leaves: room[:0], free: true}
	t.mu.RLock()
	defer t.mu.RUnlock()
	m.walk(&t.root, subject)
	free := 0
	if m.free {
		free = 1
	}
	switch len(m.leaves) {
	case 0:
		return t.none[free]
	case 1:
		return m.leaves[0].result(free)
	}
	return merge(m.leaves, m.free)
}

// Prefix gives what a result with LastTokenFree may be kept under: subject up to
// and including its last dot. ok is false for a subject that has no dot, or nothing
// behind it: such a subject must not be looked up by prefix.
func Prefix(subject []byte) (prefix []byte, ok bool) {
	i := bytes.LastIndexByte(subject, '.')
	if i < 0 || i == len(subject)-1 {
		return nil, false
	}
	return subject[:i+1], true
}

// matcher gathers the leaves that one subject meets.
type matcher[T comparable] struct {
	leaves []*leaf[T]
	free   bool // no pattern was seen whose last token is a literal in the subject's last place
}

// walk follows subject, which stands at the start of a token, down from l.
func (m *matcher[T]) walk(l *level[T], subject []byte) {
	for {
		if l.rest != nil {
			m.leaves = append(m.leaves, l.rest.leaf)
		}
		dot := bytes.IndexByte(subject, '.')
		if dot < 0 {
			m.finish(l, subject)
			return
		}
		n := l.literal(subject[:dot])
		subject = subject[dot+1:]
		if l.any != nil && l.any.level != nil {
			if n == nil || n.level == nil {
				l = l.any.level
				continue
			}
			m.walk(l.any.level, subject)
		}
		if n == nil || n.level == nil {
			return
		}
		l = n.level
	}
}

// finish meets the last token at l.
func (m *matcher[T]) finish(l *level[T], token []byte) {
	if l.ends > 0 {
		m.free = false
		if n := l.literal(token); n != nil && n.leaf != nil {
			m.leaves = append(m.leaves, n.leaf)
		}
	}
	if l.any != nil && l.any.leaf != nil {
		m.leaves = append(m.leaves, l.any.leaf)
	}
}

// emptyToken says whether some token of subject is empty.
func emptyToken(subject []byte) bool {
	before := byte('.')
	for _, c := range subject {
		if c == '.' && before == '.' {
			return true
		}
		before = c
	}
	return before == '.'
}
