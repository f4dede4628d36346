package routing

import (
	"cmp"
	"slices"
	"strings"
)

// Result is who matches a subject. It and all that it points to never change.
type Result[T comparable] struct {
	// Plain has the values without a queue, in the order in which they were added. A
	// value that was added under several matching patterns stands there as often.
	Plain []T
	// Queues has one entry for each queue name among all matching patterns, sorted by
	// name. None is without members.
	Queues []Queue[T]
	// LastTokenFree says that no pattern could tell the subject's last token from
	// another: the result holds for every subject with the same Prefix.
	LastTokenFree bool
}

// Queue is the members of one queue group, in the order in which they were added.
type Queue[T comparable] struct {
	Name    string
	Members []T
}

// Empty says whether nobody matches.
func (r *Result[T]) Empty() bool { return len(r.Plain) == 0 && len(r.Queues) == 0 }

// result gives what Match returns where f is the only leaf met; variant is 1 for
// LastTokenFree. The caller shares the table's lock, so nothing changes meanwhile; two readers may both make the
// result, and either may stay.
func (f *leaf[T]) result(variant int) *Result[T] {
	if r := f.results[variant].Load(); r != nil {
		return r
	}
	r := &Result[T]{LastTokenFree: variant == 1}
	if other := f.results[1-variant].Load(); other != nil {
		r.Plain, r.Queues = other.Plain, other.Queues
	} else {
		r.Plain = f.plain.values()
		for i := range f.queues {
			q := &f.queues[i]
			r.Queues = append(r.Queues, Queue[T]{Name: q.name, Members: q.members.values()})
		}
	}
	f.results[variant].Store(r)
	return r
}

// merge makes the result of several leaves.
func merge[T comparable](leaves []*leaf[T], free bool) *Result[T] {
	r := &Result[T]{LastTokenFree: free}
	plain := 0
	var queues []*queueRoll[T]
	for _, f := range leaves {
		plain += f.plain.len()
		for i := range f.queues {
			queues = append(queues, &f.queues[i])
		}
	}
	if plain > 0 {
		members := make([]member[T], 0, plain)
		for _, f := range leaves {
			members = f.plain.appendTo(members)
		}
		r.Plain = inOrder(members)
	}
	slices.SortStableFunc(queues, func(a, b *queueRoll[T]) int { return strings.Compare(a.name, b.name) })
	for len(queues) > 0 {
		same := 1
		for same < len(queues) && queues[same].name == queues[0].name {
			same++
		}
		r.Queues = append(r.Queues, mergeQueue(queues[:same]))
		queues = queues[same:]
	}
	return r
}

// mergeQueue makes one group of the rolls of one queue name.
func mergeQueue[T comparable](rolls []*queueRoll[T]) Queue[T] {
	if len(rolls) == 1 {
		return Queue[T]{Name: rolls[0].name, Members: rolls[0].members.values()}
	}
	var members []member[T]
	for _, q := range rolls {
		members = q.members.appendTo(members)
	}
	return Queue[T]{Name: rolls[0].name, Members: inOrder(members)}
}

// inOrder gives the values of members, which it sorts by insertion.
func inOrder[T comparable](members []member[T]) []T {
	slices.SortFunc(members, func(a, b member[T]) int { return cmp.Compare(a.serial, b.serial) })
	values := make([]T, len(members))
	for i, m := range members {
		values[i] = m.value
	}
	return values
}
