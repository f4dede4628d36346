package stan

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Stats sum up the door.
type Stats struct {
	Cluster                            string
	Memory                             bool
	Started                            time.Time
	Limits                             Limits
	InMsgs, InBytes, OutMsgs, OutBytes uint64
	Clients                            []ClientInfo  // by id
	Channels                           []ChannelInfo // by name
}

// ClientInfo is one client.
type ClientInfo struct {
	ID, HeartbeatInbox string
	Subscriptions      int
	Channels           []string // of its subscriptions, by name
}

// ChannelInfo is one channel.
type ChannelInfo struct {
	Name                     string
	Msgs, Bytes, First, Last uint64
	Subscriptions            int // those without a client included
}

// SubInfo is one subscription, a member of a group, or a durable without a client.
type SubInfo struct {
	Client, Inbox, AckInbox, Durable, Queue string
	IsDurable, Offline, Stalled             bool
	MaxInFlight, AckWait                    int // AckWait in seconds
	LastSent                                uint64
	Pending                                 int
}

// Stats returns what is there now.
func (d *Door) Stats() Stats {
	s := Stats{
		Cluster: d.o.Cluster, Memory: d.o.Memory, Started: d.started, Limits: d.o.Limits,
		InMsgs: d.inMsgs.Load(), InBytes: d.inBytes.Load(), OutMsgs: d.outMsgs.Load(), OutBytes: d.outBytes.Load(),
	}
	d.mu.RLock()
	var open []*channel
	for _, ch := range d.channels {
		if ch.state.Load() == channelOpen {
			open = append(open, ch)
		}
	}
	for _, c := range d.clients {
		i := ClientInfo{ID: c.ID, HeartbeatInbox: c.HeartbeatInbox, Subscriptions: len(c.members)}
		for m := range c.members {
			i.Channels = append(i.Channels, m.group.channel.name)
		}
		slices.Sort(i.Channels)
		i.Channels = slices.Compact(i.Channels)
		s.Clients = append(s.Clients, i)
	}
	d.mu.RUnlock()
	for _, ch := range open {
		s.Channels = append(s.Channels, ch.info())
	}
	slices.SortFunc(s.Clients, func(a, b ClientInfo) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Channels, func(a, b ChannelInfo) int { return strings.Compare(a.Name, b.Name) })
	return s
}

func (ch *channel) info() ChannelInfo {
	p := ch.stream.Partition().Status()
	i := ChannelInfo{Name: ch.name, Msgs: p.Records, Bytes: p.Bytes, First: p.First, Last: p.Last}
	if p.Last == 0 {
		i.First = 0 // nothing was ever stored
	}
	for _, c := range ch.stream.Consumers() {
		if doc, ok := c.Native().(*subscription); ok {
			i.Subscriptions += doc.stored()
		}
	}
	return i
}

// Subscriptions returns those of a channel, by the name of their consumer.
func (d *Door) Subscriptions(ctx context.Context, name string) []SubInfo {
	ch := d.channel(name)
	if ch == nil || ch.state.Load() != channelOpen {
		return nil
	}
	var out []SubInfo
	for _, c := range ch.stream.Consumers() {
		doc, ok := c.Native().(*subscription)
		if !ok {
			continue
		}
		info, err := c.Info(ctx)
		if err != nil {
			continue // it was deleted just now
		}
		base := SubInfo{Durable: doc.Durable, Queue: doc.Queue, IsDurable: doc.IsDurable, LastSent: info.Delivered.Stream}
		if doc.Last != nil {
			i := base.of(doc.Last)
			i.Offline, i.Pending, i.Stalled = true, info.AckPending, info.AckPending >= i.MaxInFlight
			out = append(out, i)
			continue
		}
		now, err := c.Members(ctx)
		if err != nil {
			continue
		}
		for k := range doc.Members {
			i := base.of(&doc.Members[k])
			for _, m := range now {
				if m.ID == doc.Members[k].ID {
					i.Pending, i.Stalled = m.Pending, m.Stalled
				}
			}
			out = append(out, i)
		}
	}
	return out
}

// of gives the info about one receiver.
func (i SubInfo) of(r *receiver) SubInfo {
	i.Client, i.Inbox, i.AckInbox, i.MaxInFlight, i.AckWait = r.Client, r.Inbox, r.AckInbox, int(r.MaxInFlight), int(r.AckWait)
	return i
}
