package server

import (
	"context"
	"runtime"
	"time"

	standoor "github.com/weirmq/weir/internal/door/stan"
	"github.com/weirmq/weir/internal/monitor"
)

// Streaming implements monitor.Streamer.
func (s *source) Streaming() *monitor.Streaming {
	if s.stan == nil {
		return nil
	}
	st, now := s.stan.Stats(), time.Now().UTC()
	out := &monitor.Streaming{
		Server: monitor.StreamingServer{
			ClusterID: st.Cluster, ServerID: s.id, Version: Version, GoVersion: runtime.Version(), State: "STANDALONE",
			Now: now, Start: st.Started.UTC(), Clients: len(st.Clients), Channels: len(st.Channels),
			InMsgs: st.InMsgs, InBytes: st.InBytes, OutMsgs: st.OutMsgs, OutBytes: st.OutBytes,
		},
		Subs: s.streamingSubs,
	}
	out.Server.OpenFDs, out.Server.MaxFDs = descriptors()
	for _, c := range st.Clients {
		out.Clients = append(out.Clients, monitor.StreamingClient{ID: c.ID, Inbox: c.HeartbeatInbox, SubsCount: c.Subscriptions, Channels: c.Channels})
	}
	for _, c := range st.Channels {
		out.Channels = append(out.Channels, monitor.StreamingChannel{
			Name: c.Name, Msgs: c.Msgs, Bytes: c.Bytes, FirstSeq: c.First, LastSeq: c.Last, SubsCount: c.Subscriptions,
		})
		out.Server.TotalMsgs += c.Msgs
		out.Server.TotalBytes += c.Bytes
		out.Server.Subscriptions += c.Subscriptions
	}
	out.Store = monitor.StreamingStore{
		ClusterID: st.Cluster, ServerID: s.id, Now: now, Type: "FILE", Limits: streamingLimits(&st.Limits),
		TotalMsgs: out.Server.TotalMsgs, TotalBytes: out.Server.TotalBytes,
	}
	if st.Memory {
		out.Store.Type = "MEMORY"
	}
	return out
}

func streamingLimits(l *standoor.Limits) monitor.StreamingLimits {
	one := func(c *standoor.ChannelLimits) monitor.StreamingChannelLimits {
		return monitor.StreamingChannelLimits{
			MaxMsgs: c.MaxMsgs, MaxBytes: c.MaxBytes, MaxAge: c.MaxAge, MaxSubs: c.MaxSubs, MaxInactivity: c.MaxInactivity,
		}
	}
	out := monitor.StreamingLimits{MaxChannels: l.MaxChannels, StreamingChannelLimits: one(&l.ChannelLimits)}
	for name := range l.Channels {
		if out.Channels == nil {
			out.Channels = map[string]monitor.StreamingChannelLimits{}
		}
		of := l.Of(name)
		out.Channels[name] = one(&of)
	}
	return out
}

// streamingSubs describes a channel's subscriptions.
func (s *source) streamingSubs(channel string) []monitor.StreamingSub {
	ctx, cancel := context.WithTimeout(context.Background(), detailsTime)
	defer cancel()
	var out []monitor.StreamingSub
	for _, i := range s.stan.Subscriptions(ctx, channel) {
		out = append(out, monitor.StreamingSub{
			ClientID: i.Client, Inbox: i.Inbox, AckInbox: i.AckInbox, Durable: i.Durable, Queue: i.Queue,
			IsDurable: i.IsDurable, IsOffline: i.Offline, MaxInflight: i.MaxInFlight, AckWait: i.AckWait,
			LastSent: i.LastSent, Pending: i.Pending, IsStalled: i.Stalled,
		})
	}
	return out
}
