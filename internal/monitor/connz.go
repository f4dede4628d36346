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

	// Subs gives an open connection's subscriptions.
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
	InMsgs         uint64      `json:"in_msgs"` // from the client
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

	up, idle time.Duration // until it was closed, or now
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

// globalAccount is not shown: those in it belong to no account of their own.
const globalAccount = "$G"

// orders are the sort parameters of /connz: the largest first, but for numbers
// of connections, start and reason.
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
	"idle":       func(a, b *ConnInfo) int { return cmp.Compare(b.idle, a.idle) },
	"uptime":     func(a, b *ConnInfo) int { return cmp.Compare(b.up, a.up) },
	"rtt":        func(a, b *ConnInfo) int { return cmp.Compare(b.Latency, a.Latency) },
	"stop":       func(a, b *ConnInfo) int { return b.Stop.Compare(*a.Stop) },
	"reason":     func(a, b *ConnInfo) int { return cmp.Compare(a.Reason, b.Reason) },
}

// connQuery is what is asked of /connz.
type connQuery struct {
	sort, state string
	account     string
	user        string
	mqtt        string
	filter      string
	cid         int
	auth        bool
	subs        detail
	page        page
}

func connQueryOf(r *http.Request) (*connQuery, error) {
	p := paramsOf(r)
	q := &connQuery{
		sort: cmp.Or(p.text("sort"), "cid"), state: cmp.Or(p.text("state"), "open"),
		account: p.text("acc"), user: p.text("user"), mqtt: p.text("mqtt_client"), filter: p.text("filter_subject"),
		cid: p.number("cid"), auth: p.yes("auth"), subs: p.subs(), page: p.page(),
	}
	if p.err != nil {
		return nil, p.err
	}
	if q.state == "all" {
		q.state = "any"
	}
	switch {
	case orders[q.sort] == nil:
		return nil, &problem{http.StatusBadRequest, "invalid sorting option: " + q.sort}
	case q.state != "open" && q.state != "closed" && q.state != "any":
		return nil, &problem{http.StatusBadRequest, "error decoding state: " + q.state}
	case (q.sort == "stop" || q.sort == "reason") && q.state != "closed":
		return nil, &problem{http.StatusBadRequest, "sort by " + q.sort + " only valid on closed connections"}
	case q.user != "" && !q.auth:
		return nil, &problem{http.StatusBadRequest, "filter by user only allowed with auth option"}
	}
	return q, nil
}

func connz(_ *Server, src Source, r *http.Request) (any, error) {
	q, err := connQueryOf(r)
	if err != nil {
		return nil, err
	}
	c := src.Connz()
	c.Conns = slices.DeleteFunc(c.Conns, func(i ConnInfo) bool { return !q.wants(&i) || !c.overlaps(&i, q.filter) })
	for i := range c.Conns {
		c.Conns[i].age(c.Now)
	}
	order := orders[q.sort]
	slices.SortStableFunc(c.Conns, func(a, b ConnInfo) int { return order(&a, &b) })
	c.Total, c.Offset, c.Limit = len(c.Conns), q.page.offset, q.page.limit
	c.Conns = of(q.page, c.Conns)
	c.NumConns = len(c.Conns)
	for i := range c.Conns {
		c.finish(&c.Conns[i], q)
	}
	return c, nil
}

// wants says whether the query is about a connection.
func (q *connQuery) wants(i *ConnInfo) bool {
	closed := i.Stop != nil
	switch {
	case q.state == "open" && closed, q.state == "closed" && !closed:
		return false
	case q.cid != 0 && i.Cid != uint64(q.cid), q.account != "" && i.Account != q.account:
		return false
	case q.user != "" && i.AuthorizedUser != q.user, q.mqtt != "":
		return false
	}
	return true
}

// overlaps says whether a connection has a subscription that a filter overlaps.
func (c *Connz) overlaps(i *ConnInfo, filter string) bool {
	if filter == "" {
		return true
	}
	return i.Stop == nil && slices.ContainsFunc(c.Subs(i.Cid), func(s SubDetail) bool { return subject.Overlap(s.Subject, filter) })
}

// age says how old the connection is, or was at its end.
func (i *ConnInfo) age(now time.Time) {
	if i.Stop != nil {
		now = *i.Stop
	}
	i.up, i.idle = now.Sub(i.Start), now.Sub(i.LastActivity)
}

// finish fills in what depends on the query.
func (c *Connz) finish(i *ConnInfo, q *connQuery) {
	i.Kind, i.Type = "Client", "nats"
	i.Uptime, i.Idle = uptime(i.up), uptime(i.idle)
	if i.Latency > 0 {
		i.RTT = i.Latency.String()
	}
	if q.subs != noSubs && i.Stop == nil {
		for _, s := range c.Subs(i.Cid) {
			s.Cid = i.Cid
			if q.subs == subDetails {
				i.SubDetails = append(i.SubDetails, s)
			} else {
				i.SubList = append(i.SubList, s.Subject)
			}
		}
	}
	if !q.auth {
		i.AuthorizedUser = ""
	}
	if !q.auth || i.Account == globalAccount {
		i.Account = ""
	}
}
