package monitor

import (
	"net/http"
	"time"
)

// Subsz is /subsz's answer.
type Subsz struct {
	ServerID string    `json:"server_id"`
	Now      time.Time `json:"now"`
	NumSubs  int       `json:"num_subscriptions"`
	NumCache int       `json:"num_cache"`
	Total    int       `json:"total"`
	Offset   int       `json:"offset"`
	Limit    int       `json:"limit"`
}

func subsz(_ *Server, src Source, r *http.Request) (any, error) {
	s := src.Subsz()
	var err error
	if s.Offset, err = number(r, "offset"); err != nil {
		return nil, err
	}
	s.Limit = defaultLimit
	return s, nil
}

// Accountz is /accountz's answer.
type Accountz struct {
	ServerID      string         `json:"server_id"`
	Now           time.Time      `json:"now"`
	SystemAccount string         `json:"system_account,omitempty"`
	Accounts      []string       `json:"accounts,omitempty"`
	Detail        *AccountDetail `json:"account_detail,omitempty"`

	Details map[string]AccountDetail `json:"-"`
}

// AccountDetail is one account.
type AccountDetail struct {
	Name      string `json:"account_name"`
	System    bool   `json:"is_system,omitempty"`
	Expired   bool   `json:"expired"`
	Complete  bool   `json:"complete"`
	JetStream bool   `json:"jetstream_enabled"`
	Leafs     int    `json:"leafnode_connections"`
	Clients   int    `json:"client_connections"`
	Subs      int    `json:"subscriptions"`
}

func accountz(_ *Server, src Source, r *http.Request) (any, error) {
	a := src.Accountz()
	name := r.URL.Query().Get("acc")
	if name == "" {
		return a, nil
	}
	d, ok := a.Details[name]
	if !ok {
		return nil, &problem{http.StatusNotFound, "account " + name + " not found"}
	}
	a.Accounts, a.Detail = nil, &d
	return a, nil
}

// Jsz is /jsz's answer.
type Jsz struct {
	JetStreamStats
	ServerID  string           `json:"server_id"`
	Now       time.Time        `json:"now"`
	Disabled  bool             `json:"disabled,omitempty"`
	Config    *JetStreamConfig `json:"config,omitempty"`
	Streams   int              `json:"streams"`
	Consumers int              `json:"consumers"`
	Messages  uint64           `json:"messages"`
	Bytes     uint64           `json:"bytes"`
	Accounts  []JszAccount     `json:"account_details,omitempty"`
	Total     int              `json:"total"`
}

// JszAccount is what an account has.
type JszAccount struct {
	Name    string      `json:"name"`
	ID      string      `json:"id"`
	Memory  uint64      `json:"memory"`
	Storage uint64      `json:"storage"`
	Streams []JszStream `json:"stream_detail,omitempty"`
}

// JszStream is one stream.
type JszStream struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	State   JszState  `json:"state"`
}

// JszState sums up a stream.
type JszState struct {
	Messages  uint64 `json:"messages"`
	Bytes     uint64 `json:"bytes"`
	FirstSeq  uint64 `json:"first_seq"`
	LastSeq   uint64 `json:"last_seq"`
	Subjects  int    `json:"num_subjects,omitempty"`
	Consumers int    `json:"consumer_count"`
}

func jsz(_ *Server, src Source, r *http.Request) (any, error) {
	j := src.Jsz()
	if !yes(r, "accounts") && !yes(r, "streams") && !yes(r, "consumers") {
		j.Accounts = nil
		return j, nil
	}
	if acc := r.URL.Query().Get("acc"); acc != "" {
		kept := j.Accounts[:0]
		for _, a := range j.Accounts {
			if a.Name == acc {
				kept = append(kept, a)
			}
		}
		j.Accounts = kept
	}
	if !yes(r, "streams") && !yes(r, "consumers") {
		for i := range j.Accounts {
			j.Accounts[i].Streams = nil
		}
	}
	return j, nil
}
