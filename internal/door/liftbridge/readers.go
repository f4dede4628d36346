package liftbridge

import (
	"sync"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// readers knows who subscribes to which partition. Of a consumer group only one may
// at a time: the one that came last, of the highest epoch.
type readers struct {
	mu    sync.Mutex
	parts map[uint64]*audience // guarded by mu, by the partition's identity
}

// audience are the subscribers of a partition.
type audience struct {
	count  int
	groups map[string]*member
}

// member is the subscriber of a group.
type member struct {
	epoch     uint64
	displaced chan struct{} // closed when another one takes its place
}

// count is how many subscribe to a partition.
func (r *readers) count(s *stream.Stream) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.parts[s.ID().ID]; a != nil {
		return a.count
	}
	return 0
}

// enter counts a subscriber in. displaced is closed when another member of its group
// takes its place; leave counts it out.
func (r *readers) enter(s *stream.Stream, c *pb.Consumer) (displaced <-chan struct{}, leave func(), err error) {
	id := s.ID().ID
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.parts[id]
	var m *member
	if c.GetGroupId() != "" {
		if a != nil {
			if old := a.groups[c.GroupId]; old != nil && old.epoch > c.GroupEpoch {
				return nil, nil, errFenced
			} else if old != nil {
				close(old.displaced)
			}
		}
		m = &member{epoch: c.GroupEpoch, displaced: make(chan struct{})}
		displaced = m.displaced
	}
	if a == nil {
		if r.parts == nil {
			r.parts = map[uint64]*audience{}
		}
		a = &audience{groups: map[string]*member{}}
		r.parts[id] = a
	}
	a.count++
	if m != nil {
		a.groups[c.GroupId] = m
	}
	return displaced, func() { r.leave(id, c.GetGroupId(), m) }, nil
}

func (r *readers) leave(id uint64, group string, m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.parts[id]
	if a.count--; m != nil && a.groups[group] == m {
		delete(a.groups, group)
	}
	if a.count == 0 {
		delete(r.parts, id)
	}
}

// fenced says whether a subscriber may not take its group's place.
func (r *readers) fenced(s *stream.Stream, c *pb.Consumer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.parts[s.ID().ID]
	if c.GetGroupId() == "" || a == nil {
		return nil
	}
	if old := a.groups[c.GroupId]; old != nil && old.epoch > c.GroupEpoch {
		return errFenced
	}
	return nil
}

var errFenced = status.Error(codes.FailedPrecondition, "Consumer is not currently assigned this partition")
