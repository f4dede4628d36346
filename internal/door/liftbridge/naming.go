package liftbridge

import "sync"

// naming puts those in a row who make or delete streams of one name.
type naming struct {
	mu    sync.Mutex
	names map[[2]string]*turn // guarded by mu, by account and name
}

// turn is a name that somebody makes or deletes.
type turn struct {
	sync.Mutex
	users int // who has it or waits for it; guarded by naming.mu
}

// hold waits for the turn at a name; release ends it.
func (n *naming) hold(account, name string) (release func()) {
	k := [2]string{account, name}
	n.mu.Lock()
	t := n.names[k]
	if t == nil {
		if n.names == nil {
			n.names = map[[2]string]*turn{}
		}
		t = new(turn)
		n.names[k] = t
	}
	t.users++
	n.mu.Unlock()
	t.Lock()
	return func() {
		t.Unlock()
		n.mu.Lock()
		defer n.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(n.names, k)
		}
	}
}
