package monitor

import (
	"net/http"
	"time"
)

// Routez is /routez's answer.
type Routez struct {
	ServerID   string     `json:"server_id"`
	ServerName string     `json:"server_name"`
	Now        time.Time  `json:"now"`
	NumRoutes  int        `json:"num_routes"`
	Routes     []struct{} `json:"routes"`
}

// Gatewayz is /gatewayz's answer.
type Gatewayz struct {
	ServerID string              `json:"server_id"`
	Now      time.Time           `json:"now"`
	Outbound map[string]struct{} `json:"outbound_gateways"`
	Inbound  map[string]struct{} `json:"inbound_gateways"`
}

// Leafz is /leafz's answer.
type Leafz struct {
	ServerID string     `json:"server_id"`
	Now      time.Time  `json:"now"`
	NumLeafs int        `json:"leafnodes"`
	Leafs    []LeafInfo `json:"leafs"`
}

// LeafInfo is one leaf node link.
type LeafInfo struct {
	ID       uint64   `json:"id"`
	Name     string   `json:"name"` // of the other server
	IsSpoke  bool     `json:"is_spoke"`
	Account  string   `json:"account"`
	IP       string   `json:"ip"`
	Port     int      `json:"port"`
	RTT      string   `json:"rtt,omitempty"`
	InMsgs   uint64   `json:"in_msgs"`
	OutMsgs  uint64   `json:"out_msgs"`
	InBytes  uint64   `json:"in_bytes"`
	OutBytes uint64   `json:"out_bytes"`
	NumSubs  int      `json:"subscriptions"` // what the other side wants
	Subs     []string `json:"subscriptions_list,omitempty"`
}

// A server that runs alone is in no cluster; the tools that ask are told so.

func routez(_ *Server, src Source, _ *http.Request) (any, error) {
	v := src.Varz()
	return &Routez{ServerID: v.ServerID, ServerName: v.ServerName, Now: v.Now, Routes: []struct{}{}}, nil
}

func gatewayz(_ *Server, src Source, _ *http.Request) (any, error) {
	v := src.Varz()
	return &Gatewayz{ServerID: v.ServerID, Now: v.Now, Outbound: map[string]struct{}{}, Inbound: map[string]struct{}{}}, nil
}

// leafz tells of the leaf node links, of one account where acc names it, and with subs of
// what their other sides want.
func leafz(_ *Server, src Source, r *http.Request) (any, error) {
	v, p := src.Varz(), paramsOf(r)
	acc, subs := p.text("acc"), p.subs() != noSubs
	if p.err != nil {
		return nil, p.err
	}
	out := &Leafz{ServerID: v.ServerID, Now: v.Now, Leafs: []LeafInfo{}}
	for _, l := range src.Leafz() {
		if acc != "" && acc != l.Account {
			continue
		}
		if !subs {
			l.Subs = nil
		}
		out.Leafs = append(out.Leafs, l)
	}
	out.NumLeafs = len(out.Leafs)
	return out, nil
}
