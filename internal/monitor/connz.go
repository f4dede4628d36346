package monitor

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/subject"
)

// Connz is /connz's answer.
type Connz struct {
	ServerID string     `json:"server_id"`
	Now      time.Time  `json:"now"`
	NumConns int        `json:"num_connections"`
	Total    int        `json:"total"`
	Offset   int        `json:"offset"`
	Limit    int        `json:"limit"`
	Conns    []ConnInfo `json:"connections"`

	// Subs gives a connection's subscriptions.
	Subs func(cid uint64) []SubDetail `json:"-"`
}

// ConnInfo is one connection.
type ConnInfo struct {
	Cid            uint64      `json:"cid"`
	Kind           string      `json:"kind,omitempty"`
	Type           string      `json:"type,omitempty"`
	IP             string      `json:"ip"`
	Port           int         `json:"port"`
	Start          time.Time   `json:"start"`
	LastActivity   time.Time   `json:"last_activity"`
	Stop           *time.Time  `json:"stop,omitempty"`
	Reason         string      `json:"reason,omitempty"`
	RTT            string      `json:"rtt,omitempty"`
	Uptime         string      `json:"uptime"`
	Idle           string      `json:"idle"`
	Pending        int64       `json:"pending_bytes"`
	InMsgs         uint64      `json:"in_msgs"`
	OutMsgs        uint64      `json:"out_msgs"`
	InBytes        uint64      `json:"in_bytes"`
	OutBytes       uint64      `json:"out_bytes"`
	NumSubs        int         `json:"subscriptions"`
	Name           string      `json:"name,omitempty"`
	Lang           string      `json:"lang,omitempty"`
	Version        string      `json:"version,omitempty"`
	AuthorizedUser string      `json:"authorized_user,omitempty"`
	Account        string      `json:"account,omitempty"`
	SubList        []string    `json:"subscriptions_list,omitempty"`
	SubDetails     []SubDetail `json:"subscriptions_list_detail,omitempty"`

	Latency time.Duration `json:"-"`
}

// SubDetail is one subscription.
type SubDetail struct {
	Account string `json:"account,omitempty"`
	Subject string `json:"subject"`
	Queue   string `json:"qgroup,omitempty"`
	Sid     string `json:"sid"`
	Msgs    uint64 `json:"msgs"`
	Max     uint64 `json:"max,omitempty"`
	Cid     uint64 `json:"cid"`
}

// defaultLimit is the size of a page.
const defaultLimit = 1024

// orders are the sort parameters of /connz.
var orders = map[string]func(a, b *ConnInfo) int{
	"cid":        func(a, b *ConnInfo) int { return cmp.Compare(a.Cid, b.Cid) },
	"start":      func(a, b *ConnInfo) int { return a.Start.Compare(b.Start) },
	"subs":       func(a, b *ConnInfo) int { return cmp.Compare(b.NumSubs, a.NumSubs) },
	"pending":    func(a, b *ConnInfo) int { return cmp.Compare(b.Pending, a.Pending) },
	"msgs_to":    func(a, b *ConnInfo) int { return cmp.Compare(b.OutMsgs, a.OutMsgs) },
	"msgs_from":  func(a, b *ConnInfo) int { return cmp.Compare(b.InMsgs, a.InMsgs) },
	"bytes_to":   func(a, b *ConnInfo) int { return cmp.Compare(b.OutBytes, a.OutBytes) },
	"bytes_from": func(a, b *ConnInfo) int { return cmp.Compare(b.InBytes, a.InBytes) },
	"last":       func(a, b *ConnInfo) int { return b.LastActivity.Compare(a.LastActivity) },
	"idle":       func(a, b *ConnInfo) int { return a.LastActivity.Compare(b.LastActivity) },
	"uptime":     func(a, b *ConnInfo) int { return a.Start.Compare(b.Start) },
	"rtt":        func(a, b *ConnInfo) int { return cmp.Compare(b.Latency, a.Latency) },
	"stop":       func(a, b *ConnInfo) int { return stopOf(b).Compare(stopOf(a)) },
	"reason":     func(a, b *ConnInfo) int { return cmp.Compare(a.Reason, b.Reason) },
}

func stopOf(c *ConnInfo) time.Time {
	if c.Stop == nil {
		return time.Time{}
	}
	return *c.Stop
}

func connz(_ *Server, src Source, r *http.Request) (any, error) {
	q := r.URL.Query()
	c := src.Connz()
	sort := cmp.Or(q.Get("sort"), "cid")
	order := orders[sort]
	if order == nil {
		return nil, &problem{http.StatusBadRequest, "invalid sorting option: " + sort}
	}
	state := cmp.Or(q.Get("state"), "open")
	if (sort == "stop" || sort == "reason") && state != "closed" {
		return nil, &problem{http.StatusBadRequest, "sort by " + sort + " only valid on closed connections"}
	}
	var err error
	var cid int
	if c.Offset, err = number(r, "offset"); err != nil {
		return nil, err
	}
	if c.Limit, err = number(r, "limit"); err != nil {
		return nil, err
	}
	if cid, err = number(r, "cid"); err != nil {
		return nil, err
	}
	c.Limit = cmp.Or(c.Limit, defaultLimit)
	c.Conns = slices.DeleteFunc(c.Conns, func(i ConnInfo) bool {
		closed := i.Stop != nil
		return state == "open" && closed || state == "closed" && !closed || cid != 0 && i.Cid != uint64(cid) ||
			q.Get("acc") != "" && i.Account != q.Get("acc") || q.Get("user") != "" && i.AuthorizedUser != q.Get("user") ||
			!c.wants(i.Cid, q.Get("filter_subject"))
	})
	slices.SortStableFunc(c.Conns, func(a, b ConnInfo) int { return order(&a, &b) })
	c.page()
	for i := range c.Conns {
		c.finish(&c.Conns[i], q.Get("subs"), yes(r, "auth"))
	}
	return c, nil
}

// wants says whether a connection has a subscription that a filter overlaps.
func (c *Connz) wants(cid uint64, filter string) bool {
	if filter == "" {
		return true
	}
	for _, s := range c.Subs(cid) {
		if subject.Overlap(s.Subject, filter) {
			return true
		}
	}
	return false
}

func (c *Connz) page() {
	c.Total = len(c.Conns)
	from := min(c.Offset, c.Total)
	c.Conns = c.Conns[from:min(from+c.Limit, c.Total)]
	c.NumConns = len(c.Conns)
}

// finish fills in what depends on the request.
func (c *Connz) finish(i *ConnInfo, subs string, auth bool) {
	i.Kind, i.Type = "Client", "nats"
	end := c.Now
	if i.Stop != nil {
		end = *i.Stop
	}
	i.Uptime, i.Idle = uptime(end.Sub(i.Start)), uptime(end.Sub(i.LastActivity))
	if i.Latency > 0 {
		i.RTT = i.Latency.String()
	}
	if subs != "" && subs != "0" && subs != "false" {
		for _, s := range c.Subs(i.Cid) {
			s.Cid = i.Cid
			if subs == "detail" {
				i.SubDetails = append(i.SubDetails, s)
			} else {
				i.SubList = append(i.SubList, s.Subject)
			}
		}
	}
	if !auth {
		i.Account, i.AuthorizedUser = "", ""
	}
}
