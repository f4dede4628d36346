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
	Leafs    []struct{} `json:"leafs"`
}

// A server that runs alone has no links; the tools that ask are told so.

func routez(_ *Server, src Source, _ *http.Request) (any, error) {
	v := src.Varz()
	return &Routez{ServerID: v.ServerID, ServerName: v.ServerName, Now: v.Now, Routes: []struct{}{}}, nil
}

func gatewayz(_ *Server, src Source, _ *http.Request) (any, error) {
	v := src.Varz()
	return &Gatewayz{ServerID: v.ServerID, Now: v.Now, Outbound: map[string]struct{}{}, Inbound: map[string]struct{}{}}, nil
}

func leafz(_ *Server, src Source, _ *http.Request) (any, error) {
	v := src.Varz()
	return &Leafz{ServerID: v.ServerID, Now: v.Now, Leafs: []struct{}{}}, nil
}
