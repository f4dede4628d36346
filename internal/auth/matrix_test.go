package auth

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/subject"
)

// entry is a configured permission of the matrix.
type entry struct{ subject, queue string }

func (e entry) String() string { return strings.TrimSpace(e.subject + " " + e.queue) }

// speaks is the oracle: whether an entry is about a message on a literal subject
// that is received in a queue, empty for none.
func (e entry) speaks(literal, queue string) bool {
	if e.queue != "" && (queue == "" || !subject.Match(e.queue, queue)) {
		return false
	}
	return subject.Match(e.subject, literal)
}

var (
	matrixSubjects = []string{"a", "b", "a.a", "a.b", "*", ">", "a.*", "*.b", "a.>"}
	matrixLiterals = []string{"a", "b", "a.a", "a.b", "b.a", "b.b", "a.b.a", "b.b.b"}
	matrixQueues   = []string{"", "q", "r.s"}
)

func matrixEntries() (all []entry) {
	for _, s := range matrixSubjects {
		for _, q := range []string{"", "q", "*", "r.>"} {
			all = append(all, entry{s, q})
		}
	}
	return all
}

// TestNothingDeniedIsEverReceived tries every allowed and denied entry with every
// subscription, and compares with what an oracle says of each single message.
func TestNothingDeniedIsEverReceived(t *testing.T) {
	for _, allow := range matrixEntries() {
		for _, deny := range matrixEntries() {
			p := mustCompile(t, Rule{}, Rule{Allow: []string{allow.String()}, Deny: []string{deny.String()}}, nil)
			for _, queue := range matrixQueues {
				for _, pattern := range append(matrixSubjects, matrixLiterals...) {
					subscribed := p.MaySubscribe(pattern, queue)
					for _, literal := range matrixLiterals {
						if !subject.Match(pattern, literal) {
							continue
						}
						received := subscribed && (!p.Filters(pattern) || p.MayReceive(literal))
						permitted := allow.speaks(literal, queue) && !deny.speaks(literal, queue)
						if received && !permitted {
							t.Fatalf("allow %q deny %q: %q in queue %q receives %q", allow, deny, pattern, queue, literal)
						}
						if pattern == literal && received != permitted {
							t.Fatalf("allow %q deny %q: %q in queue %q is received: %v", allow, deny, literal, queue, received)
						}
					}
				}
			}
		}
	}
}

// TestAnAllowedPatternMayBeSubscribed says that permissions refuse no more than
// they have to: without a denial, a subscription within one entry is allowed.
func TestAnAllowedPatternMayBeSubscribed(t *testing.T) {
	for _, allow := range matrixEntries() {
		p := mustCompile(t, Rule{}, Rule{Allow: []string{allow.String()}}, nil)
		for _, queue := range matrixQueues {
			for _, pattern := range matrixSubjects {
				in := allow.queue == "" || queue != "" && subject.Match(allow.queue, queue)
				want := in && subject.Contains(allow.subject, pattern)
				if got := p.MaySubscribe(pattern, queue); got != want {
					t.Fatalf("allow %q: %q in queue %q is %v", allow, pattern, queue, got)
				}
			}
		}
	}
}

func TestPublishIsJudgedByItsLiteralSubject(t *testing.T) {
	for _, allow := range matrixSubjects {
		for _, deny := range matrixSubjects {
			p := mustCompile(t, Rule{Allow: []string{allow}, Deny: []string{deny}}, Rule{}, nil)
			open := mustCompile(t, Rule{Deny: []string{deny}}, Rule{}, nil)
			for _, s := range append(matrixLiterals, "a.*", "*", ">") {
				denied := subject.Match(deny, s)
				if got := p.MayPublish(s); got != (subject.Match(allow, s) && !denied) {
					t.Fatalf("allow %q deny %q: publish %q is %v", allow, deny, s, got)
				}
				if open.MayPublish(s) == denied {
					t.Fatalf("deny %q: publish %q is %v", deny, s, !denied)
				}
			}
		}
	}
}

// TestAllThatAPatternStandsForMayBePublishedOrNot compares with single subjects: of a
// literal subject both say the same, and a pattern promises for all of its subjects.
func TestAllThatAPatternStandsForMayBePublishedOrNot(t *testing.T) {
	for _, allow := range matrixSubjects {
		for _, deny := range append(matrixSubjects, "z") {
			p := mustCompile(t, Rule{Allow: []string{allow}, Deny: []string{deny}}, Rule{}, nil)
			for _, s := range matrixLiterals {
				if p.MayPublishAll(s) != p.MayPublish(s) {
					t.Fatalf("allow %q deny %q: %q is judged in two ways", allow, deny, s)
				}
			}
			for _, pattern := range matrixSubjects {
				want := subject.Contains(allow, pattern) && !subject.Overlap(deny, pattern)
				if got := p.MayPublishAll(pattern); got != want {
					t.Fatalf("allow %q deny %q: all of %q is %v", allow, deny, pattern, got)
				}
				for _, s := range matrixLiterals {
					if want && subject.Match(pattern, s) && !p.MayPublish(s) {
						t.Fatalf("allow %q deny %q: %q is promised, and %q is not allowed", allow, deny, pattern, s)
					}
				}
			}
		}
	}
	if p := mustCompile(t, Rule{Deny: []string{"a.b"}}, Rule{}, nil); p.MayPublishAll("a.*") || !p.MayPublishAll("b.>") {
		t.Error("a denial is passed over, or refuses too much")
	}
}

func TestAnEmptyListOfAllowedSubjectsAllowsNothing(t *testing.T) {
	p := mustCompile(t, Rule{Allowing: true}, Rule{Allowing: true}, nil)
	if p.MayPublish("a") || p.MaySubscribe("a", "") || p.MaySubscribe("a", "q") {
		t.Error("something is allowed")
	}
	p = mustCompile(t, Rule{}, Rule{}, nil)
	if !p.MayPublish("a") || !p.MaySubscribe(">", "") || !p.MaySubscribe("a", "q") {
		t.Error("where no rule is given, something is refused")
	}
}
