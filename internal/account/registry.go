package account

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Registry holds the accounts by name. It is safe for concurrent use.
type Registry struct {
	mu sync.RWMutex
	by map[string]*Account // guarded by mu
}

// NewRegistry holds the given accounts, and the global one without limits if it
// is not among them. The accounts are the registry's from then on. Of two with the
// same name the last one counts.
func NewRegistry(accounts ...*Account) *Registry {
	r := &Registry{by: map[string]*Account{}}
	for _, a := range accounts {
		r.by[a.Name] = a
	}
	if r.by[Global] == nil {
		r.by[Global] = &Account{Name: Global, JetStream: Unlimited(false)}
	}
	for _, a := range r.by {
		if a.open == nil {
			a.open = new(atomic.Int64)
		}
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

// Replace puts the accounts of another registry in force. An account that was
// there before keeps its connections counted. No connection may have entered an
// account of o yet.
func (r *Registry) Replace(o *Registry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, a := range o.by {
		if old := r.by[name]; old != nil {
			a.open = old.open
		}
	}
	r.by = maps.Clone(o.by)
}
