package routing

import (
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/subject"
)

// node is a place in the tree: a row of pattern tokens. It is kept by value, as a
// pair of pointers, to spare a lookup one step through memory; the zero node is one
// that is not there.
type node[T comparable] struct {
	leaf  *leaf[T]  // the values of the pattern that ends here, or nil; never empty
	level *level[T] // the tokens that may follow, or nil; never empty
}

func (n node[T]) absent() bool { return n.leaf == nil && n.level == nil }

// level is the choice of a next token. In few and many no node is absent. What a
// lookup always reads comes first.
type level[T comparable] struct {
	any  node[T]            // the token "*"
	rest node[T]            // the token ">"
	ends int                // literal tokens at which a pattern ends
	few  []edge[T]          // the literal tokens, while many is nil
	many map[string]node[T] // the literal tokens, where there were more than maxFew
	peak int                // most tokens that many has held since it was made
}

type edge[T comparable] struct {
	token string
	node  node[T]
}

const (
	// maxFew is up to how many tokens a list is smaller than a map and no slower.
	maxFew = 4
	// minShrink is the peak below which a map is not worth making anew.
	minShrink = 64
)

// child gives the node of a pattern's token.
func (l *level[T]) child(token string) node[T] {
	switch token {
	case subject.AnyToken:
		return l.any
	case subject.AnyRest:
		return l.rest
	}
	if l.many != nil {
		return l.many[token]
	}
	if i := l.find(token); i >= 0 {
		return l.few[i].node
	}
	return node[T]{}
}

// literal gives the node of a subject's token. In a subject "*" and ">" are
// literals, which no pattern has.
func (l *level[T]) literal(token []byte) node[T] {
	if l.many != nil {
		return l.many[string(token)]
	}
	for i := range l.few {
		if l.few[i].token == string(token) {
			return l.few[i].node
		}
	}
	return node[T]{}
}

// set makes n the node of token; an absent n takes it away.
func (l *level[T]) set(token string, n node[T]) {
	switch token {
	case subject.AnyToken:
		l.any = n
	case subject.AnyRest:
		l.rest = n
	default:
		l.setLiteral(token, n)
	}
}

// setLiteral keeps a copy of a new token, so that a long-lived node does not hold
// on to the first pattern that led through it.
func (l *level[T]) setLiteral(token string, n node[T]) {
	before := l.child(token)
	if before.leaf == nil && n.leaf != nil {
		l.ends++
	}
	if before.leaf != nil && n.leaf == nil {
		l.ends--
	}
	switch {
	case n.absent():
		l.removeLiteral(token)
	case l.many != nil:
		if before.absent() {
			token = strings.Clone(token)
		}
		l.many[token] = n
		l.peak = max(l.peak, len(l.many))
	case !before.absent():
		l.few[l.find(token)].node = n
	case len(l.few) < maxFew:
		l.few = append(l.few, edge[T]{strings.Clone(token), n})
	default:
		l.many = make(map[string]node[T], 2*maxFew)
		for _, e := range l.few {
			l.many[e.token] = e.node
		}
		l.many[strings.Clone(token)] = n
		l.few, l.peak = nil, len(l.many)
	}
}

// removeLiteral takes token away. A map does not shrink by itself, so one that has
// lost most of its tokens is made anew, or becomes a list.
func (l *level[T]) removeLiteral(token string) {
	if l.many == nil {
		if i := l.find(token); i >= 0 {
			l.few = slices.Delete(l.few, i, i+1)
		}
		return
	}
	delete(l.many, token)
	switch {
	case len(l.many) <= maxFew/2:
		few := make([]edge[T], 0, maxFew)
		for token, n := range l.many {
			few = append(few, edge[T]{token, n})
		}
		l.few, l.many, l.peak = few, nil, 0
	case l.peak >= minShrink && len(l.many) < l.peak/4:
		many := make(map[string]node[T], len(l.many))
		for token, n := range l.many {
			many[token] = n
		}
		l.many, l.peak = many, len(many)
	}
}

// find gives the place of token in few, or -1.
func (l *level[T]) find(token string) int {
	for i := range l.few {
		if l.few[i].token == token {
			return i
		}
	}
	return -1
}

// last says that nothing but ">" may follow.
func (l *level[T]) last() bool { return len(l.few) == 0 && len(l.many) == 0 && l.any.absent() }

// empty says whether no token may follow.
func (l *level[T]) empty() bool { return l.last() && l.rest.absent() }

// each calls f for all nodes below.
func (l *level[T]) each(f func(node[T])) {
	visit := func(n node[T]) {
		f(n)
		if n.level != nil {
			n.level.each(f)
		}
	}
	visit(l.any)
	visit(l.rest)
	for _, e := range l.few {
		visit(e.node)
	}
	for _, n := range l.many {
		visit(n)
	}
}
