package broker

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Follower is told of every subscription of a space.
type Follower interface {
	// Changed is called after a subscription came or went, on the goroutine of whoever
	// did that and without a lock: it must not block. Of two calls at the same time for
	// one subscription the later one sees in Ended what is true.
	Changed(sub *Subscription)
}

// followers are those of one space.
type followers struct {
	mu   sync.Mutex // over changes of list
	list atomic.Pointer[[]Follower]
}

func (f *followers) tell(sub *Subscription) {
	if list := f.list.Load(); list != nil {
		for _, each := range *list {
			each.Changed(sub)
		}
	}
}

// Follow has f told of the subscriptions that there are, before it returns, and of all
// that come and go, until cancel is called; a call may still be under way then. One may
// be told of twice.
func (s *Space) Follow(f Follower) (cancel func()) {
	s.followers.change(func(list []Follower) []Follower { return append(list, f) })
	for _, sub := range s.table.Values() {
		f.Changed(sub)
	}
	return func() {
		s.followers.change(func(list []Follower) []Follower {
			return slices.DeleteFunc(list, func(other Follower) bool { return other == f })
		})
	}
}

// change replaces the list by what of makes of a copy.
func (f *followers) change(of func([]Follower) []Follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Follower
	if old := f.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if list = of(list); len(list) == 0 {
		f.list.Store(nil)
		return
	}
	f.list.Store(&list)
}
