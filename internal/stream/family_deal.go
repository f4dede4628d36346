package stream

import (
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/broker"
)

// The members of a family may share their subjects: then each message is dealt to one
// of them. The first member subscribes for all, and claims the subjects for all.

// Dealer is a dialect that says which member of a family a message is for.
type Dealer interface {
	// Deal gives the number of the member, of count. It runs on the publisher's
	// goroutine.
	Deal(m *broker.Message, count int) int
}

// PartitionName is the name of member k of a family.
func PartitionName(family string, k int) string { return family + ":" + strconv.Itoa(k) }

// Family returns the members of a family by the name before their numbers, in their
// order; nil if there is none of that name, or not all of it, as while it is deleted.
func (d *Directory) Family(account, name string) []*Stream {
	first := PartitionName(name, 0)
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.accounts[account]
	s := all[first]
	if s == nil || s.Config().Member == nil {
		return nil
	}
	out := make([]*Stream, s.Config().Member.Count)
	for k := range out {
		if out[k] = all[PartitionName(name, k)]; out[k] == nil || out[k].Config().Member == nil {
			return nil
		}
	}
	return out
}

// captures are the subjects that the stream itself subscribes to and claims.
func (c *Config) captures() []string {
	if m := c.Member; m != nil && m.Dealt && m.Index > 0 {
		return nil
	}
	return c.Subjects
}

// sink is what the stream's subjects are subscribed with.
func (s *Stream) sink() broker.Sink {
	if m := s.Config().Member; m != nil && m.Dealt {
		return (*dealer)(s)
	}
	return s
}

// dealer is the first member of a family as the sink of what is for any of them.
type dealer Stream

// OpenStage implements broker.Sink.
func (d *dealer) OpenStage(p *broker.Publisher) broker.Stage {
	s := (*Stream)(d)
	m := s.Config().Member
	by, _ := s.dialect.(Dealer)
	return &deal{first: s, by: by, publisher: p, members: make([]broker.Stage, m.Count)}
}

// deal is one publisher's stage for a family. It has one for each member that it sent
// to.
type deal struct {
	first     *Stream
	by        Dealer
	publisher *broker.Publisher
	members   []broker.Stage
	touched   []int // who have something to hand over
}

// Add stages a message with the member that it is for.
func (d *deal) Add(sub *broker.Subscription, m *broker.Message) broker.Verdict {
	k, ok := d.member(m)
	if !ok {
		return broker.Gone
	}
	st := d.members[k]
	if st == nil {
		s := d.first
		if k > 0 {
			s = s.dir.Find(s.Account(), PartitionName(s.base(), k))
		}
		if s == nil || s.Config().Member == nil {
			return broker.Gone
		}
		st = s.OpenStage(d.publisher)
		d.members[k] = st
	}
	v := st.Add(sub, m)
	if v == broker.Staged {
		d.touch(k)
	}
	return v
}

// member says which member a message is for: the one that its publisher names, or that
// the dialect does. false: the one that is named is not there any more.
func (d *deal) member(m *broker.Message) (k int, ok bool) {
	m, note := unwrapped(m)
	if note != nil {
		if s := note.For(); s != nil && d.knows(s) {
			return s.Config().Member.Index, !s.Dropped()
		}
	}
	if d.by == nil {
		return 0, true
	}
	return d.by.Deal(m, len(d.members)), true
}

// knows says whether a stream is, or was, a member of the family.
func (d *deal) knows(s *Stream) bool {
	is, of := s.Config().Member, d.first.Config().Member
	return is != nil && of != nil && s.Account() == d.first.Account() && is.Family == of.Family && is.Dealt && is.Count == of.Count
}

// base is the name of the family of a first member, before the number.
func (s *Stream) base() string { return strings.TrimSuffix(s.Name(), PartitionName("", 0)) }

func (d *deal) touch(k int) {
	for _, t := range d.touched {
		if t == k {
			return
		}
	}
	d.touched = append(d.touched, k)
}

// HandOver gives each member what it has.
func (d *deal) HandOver() {
	for _, k := range d.touched {
		d.members[k].HandOver()
	}
	d.touched = d.touched[:0]
}

// Gathers implements broker.Gatherer.
func (d *deal) Gathers() bool { return true }
