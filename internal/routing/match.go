package routing

import "bytes"

// Match gives the values of all patterns that stand for subject. The result is
// immutable and may be shared. Wildcards in subject are literals; a subject with an
// empty token is matched by nothing. It keeps nothing of subject.
func (t *Table[T]) Match(subject []byte) *Result[T] {
	r, _ := t.MatchUpTo(subject)
	return r
}

// MatchUpTo is Match, and says how much of subject it has looked at: the result holds
// for every subject that begins with subject[:upTo], which ends with a dot or is empty,
// and has a token or several behind it, none of them empty. It is len(subject) where
// that holds for no part of it.
func (t *Table[T]) MatchUpTo(subject []byte) (r *Result[T], upTo int) {
	if emptyToken(subject) {
		return t.none[0], len(subject)
	}
	var room [8]*leaf[T]
	t.mu.RLock()
	defer t.mu.RUnlock()
	leaves, free, unread := t.root.meet(room[:0], subject)
	upTo = len(subject) - unread
	variant := 0
	if free {
		variant = 1
	}
	switch len(leaves) {
	case 0:
		return t.none[variant], upTo
	case 1:
		return leaves[0].result(variant), upTo
	}
	return merge(leaves, free), upTo
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
// of the subject's last token; unread is how many of the last bytes make no
// difference, whatever tokens stand there.
//
// It recurs only where both the token itself and "*" lead on, so never more often
// than there are patterns.
func (l *level[T]) meet(leaves []*leaf[T], subject []byte) (_ []*leaf[T], free bool, unread int) {
	free, unread = true, len(subject)
	for {
		if l.rest.leaf != nil {
			leaves = append(leaves, l.rest.leaf)
		}
		if l.last() {
			return leaves, free, min(unread, len(subject))
		}
		dot := bytes.IndexByte(subject, '.')
		if dot < 0 {
			break
		}
		exact := l.literal(subject[:dot]).level
		subject = subject[dot+1:]
		switch {
		case exact == nil && l.any.level == nil:
			return leaves, free, min(unread, len(subject))
		case exact == nil:
			l = l.any.level
		case l.any.level == nil:
			l = exact
		default:
			var branch bool
			var below int
			leaves, branch, below = l.any.level.meet(leaves, subject)
			free, unread = free && branch, min(unread, below)
			l = exact
		}
	}
	if l.any.leaf != nil {
		leaves = append(leaves, l.any.leaf)
	}
	if l.ends == 0 {
		return leaves, free, 0
	}
	if n := l.literal(subject); n.leaf != nil {
		leaves = append(leaves, n.leaf)
	}
	return leaves, false, 0
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
