package monitor

import (
	"net/http"
	"time"
)

// Accountz is /accountz's answer: the names of all accounts, or one of them.
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
	Name      string    `json:"account_name"`
	Updated   time.Time `json:"update_time"`
	System    bool      `json:"is_system,omitempty"`
	Expired   bool      `json:"expired"`
	Complete  bool      `json:"complete"`
	JetStream bool      `json:"jetstream_enabled"`
	Leafs     int       `json:"leafnode_connections"`
	Clients   int       `json:"client_connections"`
	Subs      int       `json:"subscriptions"`
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
