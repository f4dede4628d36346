package stan

import "encoding/json"

// Adoption is a durable that comes from another server, in JSON: a request of Weir's
// own, on the subject that AdoptSubject gives.
type Adoption struct {
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
}

// Adopted answers an Adoption.
type Adopted struct {
	Error string `json:"error,omitempty"`
	// Kept says that the durable was there: it stays as it is.
	Kept     bool   `json:"kept,omitempty"`
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
