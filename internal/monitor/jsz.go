package monitor

import (
	"encoding/json"
	"net/http"
	"time"
)

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
	Total     int              `json:"total"` // accounts with streams
}

// JszQuery says how much of the details a Source has to give. The sums are always
// about all accounts.
type JszQuery struct {
	Account  string // of this account only; empty: of all
	Accounts bool   // details of accounts
	Streams  bool   // and of their streams
	Consumer bool   // and of those's consumers
	Config   bool   // and how they are configured
	// Most bounds the streams and the consumers with details, and leaves out what
	// would have to be read from a disk; 0: everything. Sums stay exact.
	Most int
}

// JszAccount is what an account has.
type JszAccount struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	JetStreamStats
	Streams []JszStream `json:"stream_detail,omitempty"`
}

// JszStream is one stream.
type JszStream struct {
	Name      string          `json:"name"`
	Created   time.Time       `json:"created"`
	Config    json.RawMessage `json:"config,omitempty"`
	State     JszState        `json:"state"`
	Consumers []JszConsumer   `json:"consumer_detail,omitempty"`
}

// JszState sums up a stream.
type JszState struct {
	Messages  uint64    `json:"messages"`
	Bytes     uint64    `json:"bytes"`
	FirstSeq  uint64    `json:"first_seq"`
	FirstTime time.Time `json:"first_ts"`
	LastSeq   uint64    `json:"last_seq"`
	LastTime  time.Time `json:"last_ts"`
	Subjects  int       `json:"num_subjects,omitempty"`
	Deleted   int       `json:"num_deleted,omitempty"`
	Consumers int       `json:"consumer_count"`
}

// JszConsumer is one consumer.
type JszConsumer struct {
	Stream      string          `json:"stream_name"`
	Name        string          `json:"name"`
	Created     time.Time       `json:"created"`
	Config      json.RawMessage `json:"config,omitempty"`
	Delivered   JszPosition     `json:"delivered"`
	AckFloor    JszPosition     `json:"ack_floor"`
	AckPending  int             `json:"num_ack_pending"`
	Redelivered int             `json:"num_redelivered"`
	Waiting     int             `json:"num_waiting"`
	Pending     uint64          `json:"num_pending"`
	Now         time.Time       `json:"ts"`
}

// JszPosition is how far a consumer is, in its own count and in the stream's.
type JszPosition struct {
	Consumer uint64     `json:"consumer_seq"`
	Stream   uint64     `json:"stream_seq"`
	Last     *time.Time `json:"last_active,omitempty"`
}

func jsz(_ *Server, src Source, r *http.Request) (any, error) {
	p := paramsOf(r)
	q := &JszQuery{
		Account: p.text("acc"), Accounts: p.yes("accounts"), Streams: p.yes("streams"),
		Consumer: p.yes("consumers"), Config: p.yes("config"),
	}
	g := p.page()
	if p.err != nil {
		return nil, p.err
	}
	q.Streams = q.Streams || q.Consumer
	q.Accounts = q.Accounts || q.Streams || q.Account != ""
	j := src.Jsz(q)
	j.Accounts = of(g, j.Accounts)
	return j, nil
}
