package stream

import "github.com/weirmq/weir/internal/subject"

// claims are the subjects that an account's streams capture for themselves, as a tree
// of tokens: whether a new stream's subjects are free is found without a look at each
// stream. The zero value has none.
type claims struct {
	ends int                // patterns that end here
	next map[string]*claims // by token, wildcards included; nil: none
}

func (c *claims) add(patterns []string) {
	for _, p := range patterns {
		at := c
		for last := false; !last; {
			var token string
			token, p, last = subject.Cut(p)
			n := at.next[token]
			if n == nil {
				n = &claims{}
				if at.next == nil {
					at.next = make(map[string]*claims, 1)
				}
				at.next[token] = n
			}
			at = n
		}
		at.ends++
	}
}

// remove takes patterns away that were added.
func (c *claims) remove(patterns []string) {
	for _, p := range patterns {
		c.take(p)
	}
}

// take takes one pattern away, and what is empty after that.
func (c *claims) take(pattern string) {
	token, rest, last := subject.Cut(pattern)
	n := c.next[token]
	if last {
		n.ends--
	} else {
		n.take(rest)
	}
	if n.ends == 0 && len(n.next) == 0 {
		delete(c.next, token)
	}
}

// meet says whether any pattern here shares a subject with one of these.
func (c *claims) meet(patterns []string) bool {
	for _, p := range patterns {
		if c.meets(p) {
			return true
		}
	}
	return false
}

func (c *claims) meets(pattern string) bool {
	if c.next[subject.AnyRest] != nil {
		return true
	}
	token, rest, last := subject.Cut(pattern)
	goesOn := func(n *claims) bool {
		if n == nil {
			return false
		}
		if last {
			return n.ends > 0
		}
		return n.meets(rest)
	}
	switch token {
	case subject.AnyRest:
		return len(c.next) > 0
	case subject.AnyToken:
		for _, n := range c.next {
			if goesOn(n) {
				return true
			}
		}
		return false
	}
	return goesOn(c.next[token]) || goesOn(c.next[subject.AnyToken])
}

// claimLocked notes what a stream that others can find captures alone, in place of
// what it did. The directory's lock is held.
func (d *Directory) claimLocked(s *Stream) {
	d.unclaimLocked(s)
	c := s.config.Load()
	if c.Capture != CaptureExclusive {
		return
	}
	all := d.claimed[s.spec.Account]
	if all == nil {
		all = &claims{}
		d.claimed[s.spec.Account] = all
	}
	s.claims = c.captures()
	all.add(s.claims)
}

func (d *Directory) unclaimLocked(s *Stream) {
	if s.claims != nil {
		d.claimed[s.spec.Account].remove(s.claims)
		s.claims = nil
	}
}

// freeLocked says whether no other stream captures any of these subjects alone.
func (d *Directory) freeLocked(account string, s *Stream, subjects []string) bool {
	all := d.claimed[account]
	if all == nil {
		return true
	}
	mine := s.claims
	all.remove(mine)
	taken := all.meet(subjects)
	all.add(mine)
	return !taken
}
