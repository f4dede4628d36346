package account

import "sync/atomic"

// Names of the accounts that are always there.
const (
	Global = "$G"   // of clients that belong to no other
	System = "$SYS" // of those who operate the server
)

// JetStream is what an account may have of streams. A negative limit is none.
type JetStream struct {
	Enabled      bool
	MaxMemory    int64 // bytes
	MaxStorage   int64 // bytes
	MaxStreams   int
	MaxConsumers int

	MaxAckPending    int   // of each consumer; 0 is no limit, too
	MaxMemoryStream  int64 // bytes that a stream in memory may be given; 0 is no limit, too
	MaxStorageStream int64 // the same of a stream on disk
	NeedsMaxBytes    bool  // each stream must say how many bytes it may have
}

// Unlimited is JetStream without limits, where enabled says so.
func Unlimited(enabled bool) JetStream {
	return JetStream{
		Enabled: enabled, MaxMemory: -1, MaxStorage: -1, MaxStreams: -1, MaxConsumers: -1,
		MaxAckPending: -1, MaxMemoryStream: -1, MaxStorageStream: -1,
	}
}

// Limits bound an account's use. Zero or less is no limit.
type Limits struct {
	MaxConnections   int
	MaxSubscriptions int // of one connection
	MaxPayload       int // bytes
}

// Account is an isolated subject space with limits of its own. It is immutable
// but for its count of connections. It is used through a Registry.
type Account struct {
	Name      string
	Limits    Limits
	JetStream JetStream
	Exports   []Export // what others may have; see Join
	Imports   []Import // what it has of others

	// open is shared by all accounts that had this name before a reload.
	open *atomic.Int64
}

// Enter counts a connection in. It says false, and counts nothing, where the
// account has as many as it may have. It may be called by any goroutine, on an
// account of a Registry.
func (a *Account) Enter() bool {
	n := a.open.Add(1)
	if most := a.Limits.MaxConnections; most > 0 && n > int64(most) {
		a.open.Add(-1)
		return false
	}
	return true
}

// Leave counts out a connection that Enter counted in.
func (a *Account) Leave() { a.open.Add(-1) }

// Connections is how many are counted in.
func (a *Account) Connections() int { return int(a.open.Load()) }
