package auth

import (
	"fmt"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/subject"
)

// Rule is what may be published or subscribed to, as it is configured. Entries
// of a subscription may have a queue behind the subject: "foo workers".
type Rule struct {
	Allow []string
	// Allowing says that Allow holds even if it is empty: then it allows nothing.
	Allowing bool
	Deny     []string
}

// Responses lets a client answer the requests it receives, also to subjects that
// it may not publish to otherwise. Without an allowed subject beside it, that is
// all the client may publish.
type Responses struct {
	Max     int           // replies to one request; 0: 1; negative: no bound
	Expires time.Duration // after the request; 0: two minutes; negative: never
}

// Defaults of Responses.
const (
	DefaultMaxResponses    = 1
	DefaultResponseExpires = 2 * time.Minute
)

func (r Responses) withDefaults() *Responses {
	if r.Max == 0 {
		r.Max = DefaultMaxResponses
	}
	if r.Expires == 0 {
		r.Expires = DefaultResponseExpires
	}
	return &r
}

// Permissions are compiled rules. They are immutable.
type Permissions struct {
	publish, subscribe compiled
	responses          *Responses
}

// compiled is a rule whose entries are split.
type compiled struct {
	allow, deny []pattern
	allowing    bool
}

// pattern is a subject, and a queue for entries that name one.
type pattern struct{ subject, queue string }

// Compile reads rules. responses may be nil.
func Compile(publish, subscribe Rule, responses *Responses) (*Permissions, error) {
	p := &Permissions{}
	var err error
	if p.publish, err = compile(publish, false); err != nil {
		return nil, fmt.Errorf("publish permissions: %w", err)
	}
	if p.subscribe, err = compile(subscribe, true); err != nil {
		return nil, fmt.Errorf("subscribe permissions: %w", err)
	}
	if responses != nil {
		p.responses = responses.withDefaults()
		p.publish.allowing = true // without an entry, only answers are left
	}
	return p, nil
}

func compile(r Rule, queues bool) (compiled, error) {
	c := compiled{allowing: r.Allowing || len(r.Allow) > 0}
	var err error
	if c.allow, err = patterns(r.Allow, queues); err != nil {
		return c, err
	}
	c.deny, err = patterns(r.Deny, queues)
	return c, err
}

func patterns(entries []string, queues bool) ([]pattern, error) {
	var out []pattern
	for _, e := range entries {
		f := strings.Fields(e)
		if len(f) == 0 || len(f) > 2 || len(f) == 2 && !queues {
			return nil, fmt.Errorf("%q is not a subject", e)
		}
		p := pattern{subject: f[0]}
		if len(f) == 2 {
			p.queue = f[1]
		}
		if !subject.ValidPattern(p.subject) || p.queue != "" && !subject.ValidPattern(p.queue) {
			return nil, fmt.Errorf("%q is not a valid subject", e)
		}
		out = append(out, p)
	}
	return out, nil
}

// MayPublish judges a subject by the rules alone: a Grant knows of answers to requests.
func (p *Permissions) MayPublish(subj string) bool {
	for i := range p.publish.deny {
		if subject.Match(p.publish.deny[i].subject, subj) {
			return false
		}
	}
	if !p.publish.allowing {
		return true
	}
	for i := range p.publish.allow {
		if subject.Match(p.publish.allow[i].subject, subj) {
			return true
		}
	}
	return false
}

// MayPublishAll says whether every subject that a pattern stands for may be published.
// Answers to requests do not count.
func (p *Permissions) MayPublishAll(pattern string) bool {
	for i := range p.publish.deny {
		if subject.Overlap(p.publish.deny[i].subject, pattern) {
			return false
		}
	}
	if !p.publish.allowing {
		return true
	}
	for i := range p.publish.allow {
		if subject.Contains(p.publish.allow[i].subject, pattern) {
			return true
		}
	}
	return false
}

// MaySubscribe judges a subscription; queue is empty for a plain one. What an
// entry allows must cover the whole pattern. One that a denial covers is refused;
// one that it only overlaps is allowed, as Filters keeps the denied subjects from
// it. Deliveries are not judged by their queue, so that the denial of a queue
// refuses whatever overlaps it.
func (p *Permissions) MaySubscribe(subj, queue string) bool {
	for i := range p.subscribe.deny {
		if p.subscribe.deny[i].denies(subj, queue) {
			return false
		}
	}
	if !p.subscribe.allowing {
		return true
	}
	for i := range p.subscribe.allow {
		a := &p.subscribe.allow[i]
		if a.speaksOf(queue) && subject.Contains(a.subject, subj) {
			return true
		}
	}
	return false
}

// speaksOf says whether the entry is about subscriptions in a queue: one without
// a queue is about all, plain ones too, one with a queue about those in matching
// queues only.
func (p *pattern) speaksOf(queue string) bool {
	return p.queue == "" || queue != "" && subject.Match(p.queue, queue)
}

func (p *pattern) denies(subj, queue string) bool {
	if !p.speaksOf(queue) {
		return false
	}
	if p.queue != "" {
		return subject.Overlap(p.subject, subj)
	}
	return subject.Contains(p.subject, subj)
}

// Filters says whether an allowed subscription may meet subjects that are denied,
// so that each delivery has to be judged by MayReceive.
func (p *Permissions) Filters(subj string) bool {
	for _, d := range p.subscribe.deny {
		if d.queue == "" && subject.Overlap(d.subject, subj) {
			return true
		}
	}
	return false
}

// MayReceive says whether a subject is not denied.
func (p *Permissions) MayReceive(subj string) bool {
	for _, d := range p.subscribe.deny {
		if d.queue == "" && subject.Match(d.subject, subj) {
			return false
		}
	}
	return true
}
