package timewheel

import (
	"math"
	"math/bits"
)

const (
	slotBits = 6
	slots    = 1 << slotBits
	// levels cover 63 bits of ticks, all that an int64 of nanoseconds can need.
	levels = 11

	// due is the level of timers that are in no slot.
	due = levels
)

// Wheel holds deadlines. Times are Unix nanoseconds, at least 0.
type Wheel[T any] struct {
	// Set at construction.
	tick uint64

	// now is the tick up to which Advance has run. Every timer in a slot has a
	// later tick. It is in the level of the highest digit (base 64) in which its
	// tick differs from now, in the slot of that digit: hence timers of a lower
	// level are always earlier than those of a higher one.
	now   uint64
	slots [levels][slots]list[T]
	// used has a bit set for each slot with timers.
	used [levels]uint64
	// late holds the timers that were set to a tick not after now.
	late list[T]
	// firing holds the timers that the running Advance has still to report.
	firing list[T]
	count  int
}

// New makes a wheel. tick is its precision in nanoseconds: a deadline is reported
// by the first Advance at or after it, rounded up to a whole tick. now is the
// present.
func New[T any](tick, now int64) *Wheel[T] {
	if tick <= 0 {
		panic("timewheel: tick must be positive")
	}
	w := &Wheel[T]{tick: uint64(tick)}
	w.now = uint64(max(now, 0)) / w.tick
	return w
}

// Len gives the number of deadlines.
func (w *Wheel[T]) Len() int { return w.count }

// Set gives t a deadline, instead of the one it had. One in the past is reported
// by the next Advance, also when Advance is running.
func (w *Wheel[T]) Set(t *Timer[T], deadline int64) {
	w.Clear(t)
	d := uint64(max(deadline, 0))
	t.tick = d / w.tick
	if d%w.tick != 0 {
		t.tick++
	}
	w.count++
	w.place(t)
}

// Clear takes t's deadline away. A timer without one is left alone.
func (w *Wheel[T]) Clear(t *Timer[T]) {
	if t.list == nil {
		return
	}
	l := t.list
	l.remove(t)
	w.count--
	if t.level != due && l.head == nil {
		w.used[t.level] &^= 1 << t.slot
	}
}

// place puts t where its tick belongs, seen from now.
func (w *Wheel[T]) place(t *Timer[T]) {
	if t.tick <= w.now {
		t.level = due
		w.late.push(t)
		return
	}
	level := (bits.Len64(t.tick^w.now) - 1) / slotBits
	slot := t.tick >> (level * slotBits) & (slots - 1)
	t.level, t.slot = uint8(level), uint8(slot)
	w.slots[level][slot].push(t)
	w.used[level] |= 1 << slot
}

// nextSlot gives the earliest slot with timers and the tick at which it begins.
func (w *Wheel[T]) nextSlot() (level, slot int, tick uint64, ok bool) {
	for level := range levels {
		if w.used[level] == 0 {
			continue
		}
		slot := bits.TrailingZeros64(w.used[level])
		shift := level * slotBits
		above := w.now >> shift >> slotBits << slotBits
		return level, slot, (above | uint64(slot)) << shift, true
	}
	return 0, 0, 0, false
}

// Advance moves the wheel to now and calls due for each item whose deadline has
// passed, in the order of ticks. due may set and clear any timer. A now before
// that of an earlier call only reports what was set to the past.
func (w *Wheel[T]) Advance(now int64, due func(T)) {
	to := uint64(max(now, 0)) / w.tick
	w.firing, w.late = moved(&w.late, &w.firing), list[T]{}
	w.fire(due)
	for {
		level, slot, tick, ok := w.nextSlot()
		if !ok || tick > to {
			break
		}
		w.now = tick
		w.empty(level, slot)
		w.fire(due)
	}
	w.now = max(w.now, to)
}

// moved gives a list with from's timers, for the place to.
func moved[T any](from, to *list[T]) list[T] {
	for t := from.head; t != nil; t = t.next {
		t.list = to
	}
	return *from
}

// empty spreads a slot whose time has come over the levels below, or, on the
// lowest level, makes its timers fire.
func (w *Wheel[T]) empty(level, slot int) {
	l := &w.slots[level][slot]
	w.used[level] &^= 1 << slot
	for t := l.pop(); t != nil; t = l.pop() {
		if t.tick <= w.now {
			t.level = due
			w.firing.push(t)
		} else {
			w.place(t)
		}
	}
}

func (w *Wheel[T]) fire(due func(T)) {
	for t := w.firing.pop(); t != nil; t = w.firing.pop() {
		w.count--
		due(t.Item)
	}
}

// Next gives a time at which Advance should be called, and whether there is any
// deadline. It is never later than the earliest deadline's tick, and may be
// earlier when that is far away: then Advance reports nothing and Next gives a
// closer time.
func (w *Wheel[T]) Next() (int64, bool) {
	if w.late.head != nil || w.firing.head != nil {
		return w.time(w.now), true
	}
	_, _, tick, ok := w.nextSlot()
	if !ok {
		return 0, false
	}
	return w.time(tick), true
}

func (w *Wheel[T]) time(tick uint64) int64 {
	if tick > math.MaxInt64/w.tick {
		return math.MaxInt64
	}
	return int64(tick * w.tick)
}
