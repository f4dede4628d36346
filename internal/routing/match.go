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
	t.mu.RLock()
	defer t.mu.RUnlock()
	leaves, free := t.root.meet(room[:0], subject)
	variant := 0
	if free {
		variant = 1
	}
	switch len(leaves) {
	case 0:
		return t.none[variant]
	case 1:
		return leaves[0].result(variant)
	}
	return merge(leaves, free)
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

// meet appends the leaves that subject, which stands at the start of a token, meets
// from l on down. free says that no pattern was met that has a literal in the place
// of the subject's last token.
//
// It recurs only where both the token itself and "*" lead on, so never more often
// than there are patterns.
func (l *level[T]) meet(leaves []*leaf[T], subject []byte) (_ []*leaf[T], free bool) {
	free = true
	for {
		if l.rest.leaf != nil {
			leaves = append(leaves, l.rest.leaf)
		}
		dot := bytes.IndexByte(subject, '.')
		if dot < 0 {
			break
		}
		exact := l.literal(subject[:dot]).level
		subject = subject[dot+1:]
		switch {
		case exact == nil && l.any.level == nil:
			return leaves, free
		case exact == nil:
			l = l.any.level
		case l.any.level == nil:
			l = exact
		default:
			var branch bool
			leaves, branch = l.any.level.meet(leaves, subject)
			free = free && branch
			l = exact
		}
	}
	if l.any.leaf != nil {
		leaves = append(leaves, l.any.leaf)
	}
	if l.ends == 0 {
		return leaves, free
	}
	if n := l.literal(subject); n.leaf != nil {
		leaves = append(leaves, n.leaf)
	}
	return leaves, false
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
