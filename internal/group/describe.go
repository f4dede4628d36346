package group

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// ErrHasMembers says that something can only be done with a group that nobody reads in.
var ErrHasMembers = errors.New("consumer group has members")

// ErrNotAssigned says that a member does not read a partition at this epoch.
var ErrNotAssigned = errors.New("partition is not assigned to the consumer")

// MemberInfo describes a member of a group.
type MemberInfo struct {
	Consumer string
	Streams  []string              // that it wants to read
	Assigned map[string]Partitions // what it reads, by stream
	Deadline int64                 // when it will have been silent for too long, Unix ns
}

// Members returns the epoch of a group and its members by name. Slices and maps are the
// caller's.
func (c *Coordinator) Members(k Key) (epoch uint64, out []MemberInfo, err error) {
	g := c.groups[k]
	if g == nil {
		return 0, nil, ErrNoGroup
	}
	for _, name := range slices.Sorted(maps.Keys(g.Members)) {
		m := g.Members[name]
		i := MemberInfo{Consumer: name, Streams: slices.Clone(m.Streams), Assigned: map[string]Partitions{}, Deadline: m.deadline}
		for s, p := range m.Assigned {
			i.Assigned[s] = slices.Clone(p)
		}
		out = append(out, i)
	}
	return g.Epoch, out, nil
}

// Current returns the epoch of a group and what a member reads at it. It counts as a
// sign of life.
func (c *Coordinator) Current(k Key, consumer string, now int64) (uint64, map[string]Partitions, error) {
	g := c.groups[k]
	if g == nil {
		return 0, nil, ErrNoGroup
	}
	a, err := c.Assignments(k, consumer, g.Epoch, now)
	return g.Epoch, a, err
}

// Owns says whether a member reads a partition at an epoch, which must be the group's.
func (c *Coordinator) Owns(k Key, consumer string, epoch uint64, stream string, partition int32) error {
	g := c.groups[k]
	switch {
	case g == nil:
		return ErrNoGroup
	case g.Members[consumer] == nil:
		return ErrNotMember
	case g.Epoch != epoch:
		return ErrEpoch
	case !slices.Contains(g.Members[consumer].Assigned[stream], partition):
		return ErrNotAssigned
	}
	return nil
}

// Membership is a group: its epoch, and its members by name.
type Membership struct {
	Epoch   uint64
	Members []MemberInfo
}

// Members describes a group, see Coordinator.Members.
func (h *Host) Members(ctx context.Context, k Key) (Membership, error) {
	return ask(ctx, h, func(context.Context) (Membership, error) {
		epoch, all, err := h.core.Members(k)
		return Membership{epoch, all}, err
	})
}

// Summary is a group in a list.
type Summary struct {
	ID      string
	Epoch   uint64
	Members int
}

// List returns an account's groups by name.
func (h *Host) List(ctx context.Context, account string) ([]Summary, error) {
	return ask(ctx, h, func(context.Context) ([]Summary, error) {
		var out []Summary
		for _, id := range h.core.Keys(account) {
			s, _ := h.core.State(Key{account, id})
			out = append(out, Summary{id, s.Epoch, len(s.Members)})
		}
		return out, nil
	})
}

// Assigned is what a member reads at an epoch, by stream.
type Assigned struct {
	Epoch      uint64
	Partitions map[string]Partitions
}

// Current returns what a member reads now, see Coordinator.Current.
func (h *Host) Current(ctx context.Context, k Key, consumer string) (Assigned, error) {
	return ask(ctx, h, func(context.Context) (Assigned, error) {
		epoch, a, err := h.core.Current(k, consumer, now())
		for s, p := range a {
			a[s] = slices.Clone(p)
		}
		return Assigned{epoch, a}, err
	})
}

// Place is a partition.
type Place struct {
	Stream    string
	Partition int32
}

// While runs do if the member reads all of these partitions at the epoch; the group
// does not change before do returns. do should be short: all groups wait for it.
func (h *Host) While(ctx context.Context, k Key, consumer string, epoch uint64, places []Place, do func(ctx context.Context) error) error {
	_, err := ask(ctx, h, func(ctx context.Context) (struct{}, error) {
		for _, p := range places {
			if err := h.core.Owns(k, consumer, epoch, p.Stream, p.Partition); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, h.bounded(ctx, do)
	})
	return err
}

// Alone runs do if the group has no members; nobody joins before do returns.
func (h *Host) Alone(ctx context.Context, k Key, do func(ctx context.Context) error) error {
	_, err := ask(ctx, h, func(ctx context.Context) (struct{}, error) {
		if _, there := h.core.State(k); there {
			return struct{}{}, ErrHasMembers
		}
		return struct{}{}, h.bounded(ctx, do)
	})
	return err
}

// bounded runs what waits for the log.
func (h *Host) bounded(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	return do(ctx)
}

// StreamGone is StreamDeleted for callers that must not wait.
func (h *Host) StreamGone(account, stream string) {
	h.enqueue(func(ctx context.Context) { h.dropped(ctx, account, stream) })
}
