package group

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// Errors of requests.
var (
	ErrNoGroup      = errors.New("consumer group does not exist")
	ErrMember       = errors.New("consumer is already a member of the consumer group")
	ErrNotMember    = errors.New("consumer is not a member of the consumer group")
	ErrNoStream     = errors.New("stream does not exist")
	ErrEpoch        = errors.New("client-provided group epoch differs from broker group epoch")
	ErrCoordinator  = errors.New("broker is not the consumer group coordinator")
	ErrNoCandidates = errors.New("no other server could coordinate the group")
)

// Key names a group.
type Key struct{ Account, ID string }

// Member is a consumer of a group.
type Member struct {
	Streams  []string              `json:"streams"`
	Assigned map[string]Partitions `json:"assigned"` // by stream; none is left out

	deadline int64 // Unix ns: when it has been silent for too long
}

// State is a group as it is kept. One without members is gone; its epoch stays for
// a while, so that a group of that name does not begin at an older one.
type State struct {
	Epoch   uint64             `json:"epoch"`
	Members map[string]*Member `json:"members"`
}

// state is a group that is coordinated.
type state struct {
	State
	key       Key
	reporters map[string]bool // of a coordinator that does not answer
	forget    int64           // when they are forgotten, Unix ns
}

// Options of a Coordinator.
type Options struct {
	// ID names this server to members.
	ID string
	// ConsumerTimeout is how long a member may be silent, CoordinatorTimeout how long
	// reports of a silent coordinator count; nanoseconds.
	ConsumerTimeout, CoordinatorTimeout int64
	// Count says how many partitions a stream of an account has; false: there is none.
	Count func(account, stream string) (int, bool)
}

// Coordinator is the state of all groups. It is used by one goroutine.
type Coordinator struct {
	o      Options
	groups map[Key]*state
	gone   map[Key]last
	sweep  int   // how many are gone when those are let go whose time is over
	next   int64 // no member is silent for too long before; 0: there is none
}

// KeepGone is how long the epoch of a group that is gone stays known.
const KeepGone = 24 * time.Hour

// fewGone is up to how many groups that are gone are kept without a look.
const fewGone = 1000

// last is the last epoch of a group that is gone.
type last struct {
	epoch uint64
	until int64 // Unix ns
}

// bury notes the last epoch of a group.
func (c *Coordinator) bury(k Key, epoch uint64, now int64) {
	c.gone[k] = last{epoch, now + int64(KeepGone)}
	if len(c.gone) < c.sweep {
		return
	}
	maps.DeleteFunc(c.gone, func(_ Key, l last) bool { return l.until <= now })
	c.sweep = max(fewGone, 2*len(c.gone))
}

// NewCoordinator returns a coordinator without groups.
func NewCoordinator(o Options) *Coordinator {
	return &Coordinator{o: o, groups: map[Key]*state{}, gone: map[Key]last{}, sweep: fewGone}
}

func (c *Coordinator) count(account, stream string) (int, bool) { return c.o.Count(account, stream) }

// Load takes a kept state over. Members have their full time from now on.
func (c *Coordinator) Load(k Key, s State, now int64) {
	if len(s.Members) == 0 {
		c.bury(k, s.Epoch, now)
		return
	}
	g := &state{State: s, key: k}
	for _, m := range g.Members {
		if m.Assigned == nil {
			m.Assigned = map[string]Partitions{}
		}
		m.deadline = now + c.o.ConsumerTimeout
	}
	c.groups[k] = g
	c.sooner(now + c.o.ConsumerTimeout)
}

func (c *Coordinator) sooner(at int64) {
	if c.next == 0 || at < c.next {
		c.next = at
	}
}

// Join makes a consumer a member that reads streams, and returns the new epoch.
func (c *Coordinator) Join(k Key, consumer string, streams []string, now int64) (uint64, error) {
	g := c.groups[k]
	if g != nil && g.Members[consumer] != nil {
		return 0, ErrMember
	}
	for _, s := range streams {
		if _, ok := c.count(k.Account, s); !ok {
			return 0, ErrNoStream
		}
	}
	if g == nil {
		g = &state{State: State{Members: map[string]*Member{}}, key: k}
		if l, ok := c.gone[k]; ok {
			g.Epoch = l.epoch + 1
			delete(c.gone, k)
		}
		c.groups[k] = g
	} else {
		g.Epoch++
	}
	g.Members[consumer] = &Member{
		Streams: slices.Clone(streams), Assigned: map[string]Partitions{}, deadline: now + c.o.ConsumerTimeout,
	}
	c.sooner(now + c.o.ConsumerTimeout)
	c.dealAll(g, streams)
	return g.Epoch, nil
}

// Leave takes a consumer out of its group. The last one's leaving ends the group.
func (c *Coordinator) Leave(k Key, consumer string, now int64) error {
	g := c.groups[k]
	if g == nil {
		return ErrNoGroup
	}
	m := g.Members[consumer]
	if m == nil {
		return ErrNotMember
	}
	delete(g.Members, consumer)
	delete(g.reporters, consumer)
	g.Epoch++
	if len(g.Members) == 0 {
		delete(c.groups, k)
		c.bury(k, g.Epoch, now)
		return nil
	}
	c.dealAll(g, slices.Collect(maps.Keys(m.Assigned)))
	return nil
}

// Assignments returns what a member reads at an epoch, which must be the group's. To
// have asked is a sign of life, also with the epoch of before a change. The caller must
// not change the answer.
func (c *Coordinator) Assignments(k Key, consumer string, epoch uint64, now int64) (map[string]Partitions, error) {
	g := c.groups[k]
	if g == nil {
		return nil, ErrNoGroup
	}
	m := g.Members[consumer]
	if m != nil && epoch <= g.Epoch {
		m.deadline = now + c.o.ConsumerTimeout
	}
	switch {
	case g.Epoch != epoch:
		return nil, ErrEpoch
	case m == nil:
		return nil, ErrNotMember
	}
	return maps.Clone(m.Assigned), nil
}

// MismatchError says that a report is about another coordinator or epoch.
type MismatchError struct {
	Coordinator string // that of the group
	Epoch       uint64
}

func (*MismatchError) Error() string { return "coordinator generation mismatch" }

// Report counts a member's report that a coordinator does not answer. When more
// than half of the members said so another one would take over; there is none.
func (c *Coordinator) Report(k Key, consumer, coordinator string, epoch uint64, now int64) error {
	g := c.groups[k]
	switch {
	case g == nil:
		return ErrNoGroup
	case coordinator != c.o.ID || epoch != g.Epoch:
		return &MismatchError{c.o.ID, g.Epoch}
	case g.Members[consumer] == nil:
		return ErrNotMember
	}
	if g.reporters == nil || now >= g.forget {
		g.reporters = map[string]bool{}
	}
	g.reporters[consumer] = true
	g.forget = now + c.o.CoordinatorTimeout
	if len(g.reporters) > len(g.Members)/2 {
		return ErrNoCandidates
	}
	return nil
}

// Expired is a member that was silent for too long.
type Expired struct {
	Key      Key
	Consumer string
}

// Expire returns the members that are to leave now, by name, and when to ask again,
// 0 for never while nobody joins.
func (c *Coordinator) Expire(now int64) (out []Expired, next int64) {
	if c.next == 0 || now < c.next {
		return nil, c.next
	}
	c.next = 0
	for k, g := range c.groups {
		for name, m := range g.Members {
			if m.deadline <= now {
				out = append(out, Expired{k, name})
			}
			c.sooner(max(m.deadline, now+1))
		}
	}
	slices.SortFunc(out, func(a, b Expired) int {
		return slices.Compare([]string{a.Key.Account, a.Key.ID, a.Consumer}, []string{b.Key.Account, b.Key.ID, b.Consumer})
	})
	return out, c.next
}

// StreamDeleted takes a stream from all who read it and deals their other streams
// anew. It returns the groups that changed.
func (c *Coordinator) StreamDeleted(account, stream string) []Key {
	var out []Key
	for k, g := range c.groups {
		if k.Account != account {
			continue
		}
		members := g.subscribers(stream)
		if len(members) == 0 {
			continue
		}
		var others []string
		for _, m := range members {
			m.Streams = slices.DeleteFunc(slices.Clone(m.Streams), func(s string) bool { return s == stream })
			delete(m.Assigned, stream)
			others = append(others, m.Streams...)
		}
		g.Epoch++
		c.dealAll(g, others)
		out = append(out, k)
	}
	return out
}

// State returns a group as it is to be kept. It is not to be changed, and valid
// until the next request. Of a group that is gone it has no members.
func (c *Coordinator) State(k Key) (State, bool) {
	if g := c.groups[k]; g != nil {
		return g.State, true
	}
	return State{Epoch: c.gone[k].epoch}, false
}

// Streams returns the streams that members read, of all groups, by account.
func (c *Coordinator) Streams() map[string][]string {
	out := map[string][]string{}
	for k, g := range c.groups {
		for _, m := range g.Members {
			out[k.Account] = append(out[k.Account], m.Streams...)
		}
	}
	for a, s := range out {
		slices.Sort(s)
		out[a] = slices.Compact(s)
	}
	return out
}

// Keys returns an account's groups by name.
func (c *Coordinator) Keys(account string) []string {
	var out []string
	for k := range c.groups {
		if k.Account == account {
			out = append(out, k.ID)
		}
	}
	slices.Sort(out)
	return out
}
