package monitor

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Streamer is a Source of a server that serves NATS Streaming.
type Streamer interface {
	// Streaming tells of the streaming server; nil: there is none.
	Streaming() *Streaming
}

// Streaming is what the endpoints under /streaming tell, with the fields of the old
// streaming server.
type Streaming struct {
	Server StreamingServer
	Store  StreamingStore
	// Clients and Channels by name, without their subscriptions.
	Clients  []StreamingClient
	Channels []StreamingChannel
	// Subs asks for a channel's subscriptions.
	Subs func(channel string) []StreamingSub
}

// StreamingServer is /streaming/serverz's answer.
type StreamingServer struct {
	ClusterID     string    `json:"cluster_id"`
	ServerID      string    `json:"server_id"`
	Version       string    `json:"version"`
	GoVersion     string    `json:"go"`
	State         string    `json:"state"`
	Now           time.Time `json:"now"`
	Start         time.Time `json:"start_time"`
	Uptime        string    `json:"uptime"`
	Clients       int       `json:"clients"`
	Subscriptions int       `json:"subscriptions"`
	Channels      int       `json:"channels"`
	TotalMsgs     uint64    `json:"total_msgs"`
	TotalBytes    uint64    `json:"total_bytes"`
	InMsgs        uint64    `json:"in_msgs"`
	InBytes       uint64    `json:"in_bytes"`
	OutMsgs       uint64    `json:"out_msgs"`
	OutBytes      uint64    `json:"out_bytes"`
	OpenFDs       int       `json:"open_fds,omitempty"`
	MaxFDs        int       `json:"max_fds,omitempty"`
}

// StreamingStore is /streaming/storez's answer.
type StreamingStore struct {
	ClusterID  string          `json:"cluster_id"`
	ServerID   string          `json:"server_id"`
	Now        time.Time       `json:"now"`
	Type       string          `json:"type"` // MEMORY or FILE
	Limits     StreamingLimits `json:"limits"`
	TotalMsgs  uint64          `json:"total_msgs"`
	TotalBytes uint64          `json:"total_bytes"`
}

// StreamingLimits are those of all channels; 0 is none.
type StreamingLimits struct {
	MaxChannels int `json:"max_channels"`
	StreamingChannelLimits
	Channels map[string]StreamingChannelLimits `json:"channels,omitempty"`
}

// StreamingChannelLimits are those of one channel.
type StreamingChannelLimits struct {
	MaxMsgs       int64         `json:"max_msgs"`
	MaxBytes      int64         `json:"max_bytes"`
	MaxAge        time.Duration `json:"max_age"`
	MaxSubs       int           `json:"max_subscriptions"`
	MaxInactivity time.Duration `json:"max_inactivity"`
}

// streamingHead begins each list.
type streamingHead struct {
	ClusterID string    `json:"cluster_id"`
	ServerID  string    `json:"server_id"`
	Now       time.Time `json:"now"`
	Offset    int       `json:"offset"`
	Limit     int       `json:"limit"`
	Count     int       `json:"count"`
	Total     int       `json:"total"`
}

// StreamingClients is /streaming/clientsz's answer.
type StreamingClients struct {
	streamingHead
	Clients []StreamingClient `json:"clients"`
}

// StreamingClient is one client.
type StreamingClient struct {
	ID        string                    `json:"id"`
	Inbox     string                    `json:"hb_inbox"`
	SubsCount int                       `json:"subs_count"`
	Subs      map[string][]StreamingSub `json:"subscriptions,omitempty"` // by channel
	// Channels are those that it is subscribed to.
	Channels []string `json:"-"`
}

// StreamingChannels is /streaming/channelsz's answer.
type StreamingChannels struct {
	streamingHead
	Names    []string           `json:"names,omitempty"`
	Channels []StreamingChannel `json:"channels,omitempty"`
}

// StreamingChannel is one channel.
type StreamingChannel struct {
	Name      string         `json:"name"`
	Msgs      uint64         `json:"msgs"`
	Bytes     uint64         `json:"bytes"`
	FirstSeq  uint64         `json:"first_seq"`
	LastSeq   uint64         `json:"last_seq"`
	SubsCount int            `json:"subs_count"`
	Subs      []StreamingSub `json:"subscriptions,omitempty"`
}

// StreamingSub is one subscription.
type StreamingSub struct {
	ClientID    string `json:"client_id"`
	Inbox       string `json:"inbox"`
	AckInbox    string `json:"ack_inbox"`
	Durable     string `json:"durable_name,omitempty"`
	Queue       string `json:"queue_name,omitempty"`
	IsDurable   bool   `json:"is_durable"`
	IsOffline   bool   `json:"is_offline"`
	MaxInflight int    `json:"max_inflight"`
	AckWait     int    `json:"ack_wait"` // seconds
	LastSent    uint64 `json:"last_sent"`
	Pending     int    `json:"pending_count"`
	IsStalled   bool   `json:"is_stalled"`
}

// streaming makes an answer of what a source tells of its streaming server.
func streaming(f func(s *Streaming, r *http.Request) (any, error)) answer {
	return func(_ *Server, src Source, r *http.Request) (any, error) {
		if st, ok := src.(Streamer); ok {
			if s := st.Streaming(); s != nil {
				return f(s, r)
			}
		}
		return nil, &problem{http.StatusNotFound, "NATS Streaming is not served: see stan in the configuration"}
	}
}

func streamingServerz(s *Streaming, _ *http.Request) (any, error) {
	s.Server.Uptime = shortUptime(s.Server.Now.Sub(s.Server.Start))
	return &s.Server, nil
}

func streamingStorez(s *Streaming, _ *http.Request) (any, error) { return &s.Store, nil }

// streamingPage reads a page's bounds: what is wrong counts as not given.
func streamingPage(r *http.Request) page {
	p := paramsOf(r)
	g := page{offset: p.number("offset"), limit: p.number("limit")}
	if g.limit == 0 {
		g.limit = defaultLimit
	}
	return g
}

func (s *Streaming) head(g page, count, total int) streamingHead {
	return streamingHead{
		ClusterID: s.Server.ClusterID, ServerID: s.Server.ServerID, Now: s.Server.Now,
		Offset: g.offset, Limit: g.limit, Count: count, Total: total,
	}
}

func streamingClientsz(s *Streaming, r *http.Request) (any, error) {
	subs := r.URL.Query().Get("subs") == "1"
	if id := r.URL.Query().Get("client"); id != "" {
		i := slices.IndexFunc(s.Clients, func(c StreamingClient) bool { return c.ID == id })
		if i < 0 {
			return nil, &problem{http.StatusNotFound, fmt.Sprintf("Client %s not found", id)}
		}
		if subs {
			s.subscribed(&s.Clients[i])
		}
		return &s.Clients[i], nil
	}
	g := streamingPage(r)
	out := &StreamingClients{Clients: append([]StreamingClient{}, of(g, s.Clients)...)}
	out.streamingHead = s.head(g, len(out.Clients), len(s.Clients))
	for i := range out.Clients {
		if subs {
			s.subscribed(&out.Clients[i])
		}
	}
	return out, nil
}

// subscribed adds a client's subscriptions.
func (s *Streaming) subscribed(c *StreamingClient) {
	c.Subs = map[string][]StreamingSub{}
	for _, ch := range c.Channels {
		for _, sub := range s.Subs(ch) {
			if sub.ClientID == c.ID && !sub.IsOffline {
				c.Subs[ch] = append(c.Subs[ch], sub)
			}
		}
	}
}

func streamingChannelsz(s *Streaming, r *http.Request) (any, error) {
	subs := r.URL.Query().Get("subs") == "1"
	if name := r.URL.Query().Get("channel"); name != "" {
		i := slices.IndexFunc(s.Channels, func(c StreamingChannel) bool { return c.Name == name })
		if i < 0 {
			return nil, &problem{http.StatusNotFound, fmt.Sprintf("Channel %s not found", name)}
		}
		if subs {
			s.Channels[i].Subs = s.Subs(name)
		}
		return &s.Channels[i], nil
	}
	g := streamingPage(r)
	list := of(g, s.Channels)
	out := &StreamingChannels{streamingHead: s.head(g, len(list), len(s.Channels))}
	for i := range list {
		if !subs {
			out.Names = append(out.Names, list[i].Name)
			continue
		}
		c := list[i]
		c.Subs = s.Subs(c.Name)
		out.Channels = append(out.Channels, c)
	}
	return out, nil
}

// streamingActive answers whether this is the active server of a fault-tolerant
// group: there are none, so it never is.
func (s *Server) streamingActive(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNoContent)
}

// streamingIndex lists the endpoints.
func (s *Server) streamingIndex(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>NATS Streaming</title><h1>NATS Streaming</h1><ul>\n")
	for _, name := range []string{"serverz", "storez", "clientsz", "channelsz"} {
		fmt.Fprintf(&b, "<li><a href=\"%s/streaming/%s\">%s</a></li>\n", s.base, name, name)
	}
	b.WriteString("</ul></html>\n")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if _, err := w.Write([]byte(b.String())); err != nil {
		s.log.Debug("HTTP answer not sent", "error", err)
	}
}

// shortUptime is a time such as 1d2h3m4s.
func shortUptime(d time.Duration) string {
	s := int64(d / time.Second)
	const year = 365 * 86400
	var b strings.Builder
	for _, u := range []struct {
		size int64
		unit string
	}{{year, "y"}, {86400, "d"}, {3600, "h"}, {60, "m"}} {
		if s >= u.size || b.Len() > 0 {
			fmt.Fprintf(&b, "%d%s", s/u.size, u.unit)
			s %= u.size
		}
	}
	fmt.Fprintf(&b, "%ds", s)
	return b.String()
}
