package monitor

import (
	"net/http"
	"time"

	"github.com/weirmq/weir/internal/subject"
)

// Subsz is /subsz's answer. Only what clients subscribed to is counted. The
// figures of a cache are there for those who read them, and 0: routing keeps its
// results with each connection.
type Subsz struct {
	ServerID   string      `json:"server_id"`
	Now        time.Time   `json:"now"`
	NumSubs    int         `json:"num_subscriptions"`
	NumCache   int         `json:"num_cache"`
	NumInserts uint64      `json:"num_inserts"`
	NumRemoves uint64      `json:"num_removes"`
	NumMatches uint64      `json:"num_matches"`
	HitRate    float64     `json:"cache_hit_rate"`
	MaxFanout  int         `json:"max_fanout"`
	AvgFanout  float64     `json:"avg_fanout"`
	Total      int         `json:"total"`
	Offset     int         `json:"offset"`
	Limit      int         `json:"limit"`
	Subs       []SubDetail `json:"subscriptions_list,omitempty"`
}

func subsz(_ *Server, src Source, r *http.Request) (any, error) {
	p := paramsOf(r)
	list, test, account, g := p.yes("subs"), p.text("test"), p.text("acc"), p.page()
	if p.err != nil {
		return nil, p.err
	}
	if test != "" && !subject.ValidLiteral(test) {
		return nil, &problem{http.StatusBadRequest, "invalid test subject, must be literal subject: " + test}
	}
	c := src.Connz()
	s := &Subsz{ServerID: c.ServerID, Now: c.Now, Offset: g.offset, Limit: g.limit}
	var found []SubDetail
	for i := range c.Conns {
		conn := &c.Conns[i]
		if conn.Stop != nil || account != "" && conn.Account != account {
			continue
		}
		s.NumSubs += conn.NumSubs
		if !list && test == "" {
			continue
		}
		for _, sub := range c.Subs(conn.Cid) {
			if test != "" && !subject.Match(sub.Subject, test) {
				continue
			}
			sub.Cid = conn.Cid
			if conn.Account != globalAccount {
				sub.Account = conn.Account
			}
			found = append(found, sub)
		}
	}
	if !list && test == "" {
		s.Total = s.NumSubs
		return s, nil
	}
	s.Total, s.Subs = len(found), of(g, found)
	return s, nil
}
