package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// oldMonitor is the monitoring of a running NATS Streaming server.
type oldMonitor struct {
	base    string
	timeout time.Duration
}

// oldChannelz is what it tells of a channel.
type oldChannelz struct {
	Name  string    `json:"name"`
	Msgs  uint64    `json:"msgs"`
	Bytes uint64    `json:"bytes"`
	First uint64    `json:"first_seq"`
	Last  uint64    `json:"last_seq"`
	Subs  []oldSubz `json:"subscriptions"`
}

// oldSubz is what it tells of a subscription, or of a member of a queue group.
type oldSubz struct {
	Client      string `json:"client_id"`
	Inbox       string `json:"inbox"`
	Durable     string `json:"durable_name"`
	Queue       string `json:"queue_name"` // of a durable group DURABLE:GROUP
	IsDurable   bool   `json:"is_durable"`
	IsOffline   bool   `json:"is_offline"`
	MaxInFlight int32  `json:"max_inflight"`
	AckWait     int32  `json:"ack_wait"` // seconds
	LastSent    uint64 `json:"last_sent"`
	Pending     int    `json:"pending_count"`
}

func openOldMonitor(base string, timeout time.Duration) (*oldMonitor, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--monitor %q is no address such as http://HOST:8222", base)
	}
	return &oldMonitor{base: strings.TrimRight(base, "/"), timeout: timeout}, nil
}

// longestPage bounds an answer.
const longestPage = 256 << 20

// ask reads one page.
func (m *oldMonitor) ask(ctx context.Context, page string, query url.Values, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, m.base+"/streaming/"+page+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("ask the monitoring: %w", err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return fmt.Errorf("ask the monitoring: %w", err)
	}
	defer func() { _ = r.Body.Close() }() // it is only read
	b, err := io.ReadAll(io.LimitReader(r.Body, longestPage))
	switch {
	case err != nil:
		return fmt.Errorf("read the monitoring's answer: %w", err)
	case r.StatusCode != http.StatusOK:
		return fmt.Errorf("the monitoring of %s answers %s to /streaming/%s: %.100s", m.base, r.Status, page, strings.TrimSpace(string(b)))
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return fmt.Errorf("read the monitoring's answer: %w", err)
	}
	return nil
}

// cluster is the id of the server's cluster.
func (m *oldMonitor) cluster(ctx context.Context) (string, error) {
	var s struct {
		ID string `json:"cluster_id"`
	}
	err := m.ask(ctx, "serverz", nil, &s)
	return s.ID, err
}

// names lists all channels.
func (m *oldMonitor) names(ctx context.Context) ([]string, error) {
	var all []string
	for {
		var p struct {
			Names []string `json:"names"`
			Total int      `json:"total"`
		}
		if err := m.ask(ctx, "channelsz", url.Values{"offset": {strconv.Itoa(len(all))}}, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Names...)
		if len(p.Names) == 0 || len(all) >= p.Total {
			return all, nil
		}
	}
}

// channel tells of one, with its subscriptions.
func (m *oldMonitor) channel(ctx context.Context, name string) (*oldChannelz, error) {
	c := new(oldChannelz)
	err := m.ask(ctx, "channelsz", url.Values{"channel": {name}, "subs": {"1"}}, c)
	return c, err
}
