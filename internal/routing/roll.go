package routing

import "slices"

// member is a value with its place in the order of insertion, which holds for the
// whole table.
type member[T comparable] struct {
	value  T
	serial uint64
}

// maxScan is up to how many members a roll is searched from end to end.
const maxScan = 32

// roll is a set of values in the order of insertion. Adding and removing take
// constant time, amortised, however many there are.
type roll[T comparable] struct {
	// members ascend by serial. Where index is not nil, a serial of 0 marks a
	// member that was removed.
	members []member[T]
	// index says where in members a value stands. It is nil for a small roll, which
	// has no removed members.
	index map[T]int
}

func (r *roll[T]) len() int {
	if r.index != nil {
		return len(r.index)
	}
	return len(r.members)
}

// find gives the place of v in members, or -1.
func (r *roll[T]) find(v T) int {
	if r.index != nil {
		if i, ok := r.index[v]; ok {
			return i
		}
		return -1
	}
	for i := range r.members {
		if r.members[i].value == v {
			return i
		}
	}
	return -1
}

// add appends m, whose serial is above all others, unless its value is there.
func (r *roll[T]) add(m member[T]) bool {
	if r.find(m.value) >= 0 {
		return false
	}
	r.members = append(r.members, m)
	switch {
	case r.index != nil:
		r.index[m.value] = len(r.members) - 1
	case len(r.members) > maxScan:
		r.settle()
	}
	return true
}

func (r *roll[T]) remove(v T) bool {
	i := r.find(v)
	if i < 0 {
		return false
	}
	if r.index == nil {
		r.members = slices.Delete(r.members, i, i+1)
		return true
	}
	delete(r.index, v)
	r.members[i] = member[T]{}
	if len(r.index) < len(r.members)/2 {
		r.settle()
	}
	return true
}

// settle drops the removed members and makes the index anew, or drops it where the
// roll has become small.
func (r *roll[T]) settle() {
	live := make([]member[T], 0, r.len()+r.len()/4)
	for _, m := range r.members {
		if m.serial != 0 {
			live = append(live, m)
		}
	}
	r.members, r.index = live, nil
	if len(live) <= maxScan/2 {
		return
	}
	r.index = make(map[T]int, len(live))
	for i, m := range live {
		r.index[m.value] = i
	}
}

// appendTo appends the members in order.
func (r *roll[T]) appendTo(dst []member[T]) []member[T] {
	if r.index == nil {
		return append(dst, r.members...)
	}
	for _, m := range r.members {
		if m.serial != 0 {
			dst = append(dst, m)
		}
	}
	return dst
}

// values gives the members' values in order, or nil where there are none.
func (r *roll[T]) values() []T {
	if r.len() == 0 {
		return nil
	}
	values := make([]T, 0, r.len())
	for _, m := range r.members {
		if m.serial != 0 {
			values = append(values, m.value)
		}
	}
	return values
}
