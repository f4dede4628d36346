package routing

import (
	"slices"
	"strings"
	"sync/atomic"
)

// leaf holds the values of one pattern.
type leaf[T comparable] struct {
	// results is what Match gives where no other pattern matches, by LastTokenFree.
	// Readers make it when they need it; every change drops it.
	results [2]atomic.Pointer[Result[T]]

	plain  roll[T]
	queues []queueRoll[T] // sorted by name; none is empty
}

type queueRoll[T comparable] struct {
	name    string
	members roll[T]
}

// add says whether m was not there yet.
func (f *leaf[T]) add(queue string, m member[T]) bool {
	r := &f.plain
	if queue != "" {
		i, found := f.find(queue)
		if !found {
			f.queues = slices.Insert(f.queues, i, queueRoll[T]{name: strings.Clone(queue)})
		}
		r = &f.queues[i].members
	}
	if !r.add(m) {
		return false
	}
	f.forget()
	return true
}

// remove says whether v was there.
func (f *leaf[T]) remove(queue string, v T) bool {
	if queue == "" {
		if !f.plain.remove(v) {
			return false
		}
		f.forget()
		return true
	}
	i, found := f.find(queue)
	if !found || !f.queues[i].members.remove(v) {
		return false
	}
	if f.queues[i].members.len() == 0 {
		f.queues = slices.Delete(f.queues, i, i+1)
	}
	f.forget()
	return true
}

func (f *leaf[T]) empty() bool {
	return f.plain.len() == 0 && len(f.queues) == 0
}

func (f *leaf[T]) find(queue string) (int, bool) {
	return slices.BinarySearchFunc(f.queues, queue, func(q queueRoll[T], name string) int {
		return strings.Compare(q.name, name)
	})
}

func (f *leaf[T]) forget() {
	f.results[0].Store(nil)
	f.results[1].Store(nil)
}
