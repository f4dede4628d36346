package account

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

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
}

// Limits bound an account's use. Zero or less is no limit.
type Limits struct {
	MaxConnections   int
	MaxSubscriptions int
	MaxPayload       int // bytes
}

// Account is an isolated subject space with limits of its own. It is immutable
// but for its count of connections.
type Account struct {
	Name      string
	Limits    Limits
	JetStream JetStream
}

// Registry holds the accounts by name. It is safe for concurrent use.
type Registry struct {
	mu sync.RWMutex
	by map[string]*Account // guarded by mu
}

// NewRegistry holds the given accounts.
func NewRegistry(accounts ...*Account) *Registry {
	r := &Registry{by: map[string]*Account{}}
	for _, a := range accounts {
		r.by[a.Name] = a
	}
	return r
}

// Find returns an account, nil if there is none of that name.
func (r *Registry) Find(name string) *Account {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.by[name]
}

// All returns the accounts by name.
func (r *Registry) All() []*Account {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.by), func(a, b *Account) int { return strings.Compare(a.Name, b.Name) })
}

// Replace puts other accounts in force.
func (r *Registry) Replace(o *Registry) {
	o.mu.RLock()
	by := maps.Clone(o.by)
	o.mu.RUnlock()
	r.mu.Lock()
	r.by = by
	r.mu.Unlock()
}
