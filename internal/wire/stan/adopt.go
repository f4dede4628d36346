package stan

import "encoding/json"

// Adoption is a durable, another subscription or a session that comes from another
// server, in JSON: a request of Weir's own, on the subject that AdoptSubject gives.
type Adoption struct {
	// Session is a client that was connected. There is nothing else in the request then.
	Session *AdoptedSession `json:"session,omitempty"`

	Channel string `json:"channel"`
	// Client and Durable name a durable; Durable and Queue a durable queue group, whose
	// Client, if any, was its last member.
	Client      string `json:"client,omitempty"`
	Durable     string `json:"durable"`
	Queue       string `json:"queue,omitempty"`
	MaxInFlight int32  `json:"max_in_flight"`
	AckWait     int32  `json:"ack_wait"` // seconds
	// LastSent is the last sequence that was sent, Pending are those that were sent and
	// not acknowledged, ascending.
	LastSent uint64   `json:"last_sent"`
	Pending  []uint64 `json:"pending,omitempty"`
	// Members are those who were subscribed. Whose session is not there is left out. What
	// is not durable has at least one, a subscription that is no group just one.
	Members []AdoptedMember `json:"members,omitempty"`
}

// AdoptedSession is a client as it connected.
type AdoptedSession struct {
	ID             string `json:"id"`
	HeartbeatInbox string `json:"hb_inbox"`
	ConnID         []byte `json:"conn_id,omitempty"`
	Protocol       int32  `json:"protocol,omitempty"`
	PingInterval   int32  `json:"ping_interval,omitempty"` // seconds
	PingMaxOut     int32  `json:"ping_max_out,omitempty"`
}

// AdoptedMember is a client's part in a subscription.
type AdoptedMember struct {
	Client      string `json:"client"`
	Inbox       string `json:"inbox"`     // where messages go
	AckInbox    string `json:"ack_inbox"` // where it acknowledges
	MaxInFlight int32  `json:"max_in_flight"`
	AckWait     int32  `json:"ack_wait"` // seconds
}

// Adopted answers an Adoption.
type Adopted struct {
	Error string `json:"error,omitempty"`
	// Kept says that it was there: it stays as it is.
	Kept bool `json:"kept,omitempty"`
	// Another says that what was there is another session than the one that was handed over.
	Another  bool   `json:"another,omitempty"`
	LastSent uint64 `json:"last_sent"`
	Pending  int    `json:"pending"`
}

// AdoptSubject is where durables of other servers are handed over to a cluster.
func AdoptSubject(cluster string) string { return "_STAN.adopt." + cluster }

// Decode reads a request.
func (a *Adoption) Decode(b []byte) error {
	*a = Adoption{}
	return json.Unmarshal(b, a)
}
