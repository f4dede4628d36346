package routing

import (
	"strings"

	"github.com/weirmq/weir/internal/subject"
)

// node is a place in the tree: a row of pattern tokens. It is there only while a
// pattern ends at it or leads through it.
type node[T comparable] struct {
	leaf  *leaf[T]  // the values of the pattern that ends here, or nil; never empty
	level *level[T] // the tokens that may follow, or nil; never empty
}

// level is the choice of a next token.
type level[T comparable] struct {
	few  []edge[T]           // the literal tokens, while many is nil
	many map[string]*node[T] // the literal tokens, where there were more than maxFew
	peak int                 // most tokens that many has held since it was made
	ends int                 // literal tokens at which a pattern ends
	any  *node[T]            // the token "*", or nil
	rest *node[T]            // the token ">", or nil
}

type edge[T comparable] struct {
	token string
	node  *node[T]
}

const (
	// maxFew is up to how many tokens a list is smaller than a map and no slower.
	maxFew = 4
	// minShrink is the peak below which a map is not worth making anew.
	minShrink = 64
)

// child gives the node of a pattern's token, or nil.
func (l *level[T]) child(token string) *node[T] {
	switch token {
	case subject.AnyToken:
		return l.any
	case subject.AnyRest:
		return l.rest
	}
	if l.many != nil {
		return l.many[token]
	}
	for i := range l.few {
		if l.few[i].token == token {
			return l.few[i].node
		}
	}
	return nil
}

// literal gives the node of a subject's token, or nil. In a subject "*" and ">" are
// literals, which no pattern has.
func (l *level[T]) literal(token []byte) *node[T] {
	if l.many != nil {
		return l.many[string(token)]
	}
	for i := range l.few {
		if l.few[i].token == string(token) {
			return l.few[i].node
		}
	}
	return nil
}

// insert adds n, the node of token, which is not there yet. It keeps a copy of
// token, so that a long-lived node does not hold on to the first pattern through it.
func (l *level[T]) insert(token string, n *node[T]) {
	switch token {
	case subject.AnyToken:
		l.any = n
		return
	case subject.AnyRest:
		l.rest = n
		return
	}
	token = strings.Clone(token)
	if l.many == nil && len(l.few) < maxFew {
		l.few = append(l.few, edge[T]{token, n})
		return
	}
	if l.many == nil {
		l.many = make(map[string]*node[T], 2*maxFew)
		for _, e := range l.few {
			l.many[e.token] = e.node
		}
		l.few = nil
	}
	l.many[token] = n
	l.peak = max(l.peak, len(l.many))
}

// remove takes the node of token away. A map does not shrink by itself, so one that
// has lost most of its tokens is made anew, or becomes a list.
func (l *level[T]) remove(token string) {
	switch token {
	case subject.AnyToken:
		l.any = nil
		return
	case subject.AnyRest:
		l.rest = nil
		return
	}
	if l.many == nil {
		l.removeFew(token)
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
		many := make(map[string]*node[T], len(l.many))
		for token, n := range l.many {
			many[token] = n
		}
		l.many, l.peak = many, len(many)
	}
}

func (l *level[T]) removeFew(token string) {
	for i := range l.few {
		if l.few[i].token == token {
			last := len(l.few) - 1
			l.few[i] = l.few[last]
			l.few[last] = edge[T]{}
			l.few = l.few[:last]
			return
		}
	}
}

// count keeps ends right when a pattern begins (+1) or ceases (-1) to end at token.
func (l *level[T]) count(token string, by int) {
	if token != subject.AnyToken && token != subject.AnyRest {
		l.ends += by
	}
}

// empty says whether no token may follow.
func (l *level[T]) empty() bool {
	return len(l.few) == 0 && len(l.many) == 0 && l.any == nil && l.rest == nil
}
