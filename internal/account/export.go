package account

import "time"

// Kind tells what is shared between accounts.
type Kind uint8

// The kinds.
const (
	Stream  Kind = iota // messages flow from the exporter to the importer
	Service             // requests flow from the importer to the exporter, answers back
)

// String names the kind as the configuration does.
func (k Kind) String() string {
	if k == Service {
		return "service"
	}
	return "stream"
}

// Response says what answers a request to a service gets.
type Response uint8

// The responses.
const (
	Singleton Response = iota // one
	Streamed                  // any number, for as long as the requester listens
	Chunked                   // any number, up to one without data
)

// DefaultThreshold is how long a service may take where its export says nothing.
const DefaultThreshold = 2 * time.Minute

// Export is what an account lets others have.
type Export struct {
	Kind    Kind
	Subject string // a pattern
	// Private says that only Accounts may import it.
	Private  bool
	Accounts []string
	// Token is the place, from 1 on, of the token of Subject, a "*", where an import
	// has to name the importing account; 0: nowhere.
	Token int

	// Of services.
	Response  Response
	Threshold time.Duration // how long an answer is waited for; 0: DefaultThreshold
}

// Import is what an account has of another.
type Import struct {
	Kind    Kind
	Account string // the exporter
	Subject string // there
	Local   string // here, see subject.ParseMapping; empty: as there
	Share   bool   // requests tell who the client is
}
