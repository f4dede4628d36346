package timewheel

// Timer is an item's place in a wheel. It is part of the item, so that setting a
// deadline allocates nothing and clearing one needs no search. It must not be
// copied while it is set.
type Timer[T any] struct {
	// Item is given to the function that Advance calls. Set by the owner.
	Item T

	next, prev *Timer[T]
	// list is where the timer is kept; nil while it is not set.
	list *list[T]
	// tick is the first tick at which the deadline has passed.
	tick uint64
	// level and slot say which list it is, for the wheel's bitmaps; level is
	// unset for the lists of due timers.
	level, slot uint8
}

// Active says whether a deadline is set.
func (t *Timer[T]) Active() bool { return t.list != nil }

// list holds timers in the order in which they were set.
type list[T any] struct {
	head, tail *Timer[T]
}

func (l *list[T]) push(t *Timer[T]) {
	t.list, t.prev, t.next = l, l.tail, nil
	if l.tail != nil {
		l.tail.next = t
	} else {
		l.head = t
	}
	l.tail = t
}

func (l *list[T]) remove(t *Timer[T]) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.head = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		l.tail = t.prev
	}
	t.list, t.prev, t.next = nil, nil, nil
}

// pop takes the first timer off the list; nil if it is empty.
func (l *list[T]) pop() *Timer[T] {
	t := l.head
	if t != nil {
		l.remove(t)
	}
	return t
}
