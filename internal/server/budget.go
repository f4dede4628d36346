package server

import (
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/partition"
)

// budget counts stored bytes against a limit. A negative limit is none.
type budget struct {
	used  atomic.Uint64
	limit atomic.Int64
	shut  *atomic.Bool // nothing more is taken while it is set; nil: never
}

func (b *budget) reserve(n uint64) bool {
	if b.shut != nil && b.shut.Load() {
		return false
	}
	used := b.used.Add(n)
	if limit := b.limit.Load(); limit >= 0 && used > uint64(limit) {
		b.used.Add(^(n - 1))
		return false
	}
	return true
}

// giveBack never goes below nothing: records that were found at a start above a
// lowered limit were not counted.
func (b *budget) giveBack(n uint64) {
	for {
		used := b.used.Load()
		if b.used.CompareAndSwap(used, used-min(n, used)) {
			return
		}
	}
}

// lease is what the streams of an account on one kind of storage may still store:
// the account's and the node's budget both hold.
type lease struct{ account, node *budget }

// Reserve implements partition.Budget.
func (l lease) Reserve(n uint64) bool {
	if n == 0 {
		return true
	}
	if !l.account.reserve(n) {
		return false
	}
	if !l.node.reserve(n) {
		l.account.giveBack(n)
		return false
	}
	return true
}

// Return implements partition.Budget.
func (l lease) Return(n uint64) {
	l.account.giveBack(n)
	l.node.giveBack(n)
}

// budgets are those of the node and of all accounts, for disk and memory.
type budgets struct {
	disk, memory budget

	mu       sync.Mutex
	accounts map[string]*[2]budget // disk, memory
	limits   func(account string) (disk, memory int64)
}

// newBudgets makes the node's budgets. While full is set nothing goes to the disk.
func newBudgets(disk, memory int64, full *atomic.Bool, limits func(account string) (disk, memory int64)) *budgets {
	b := &budgets{accounts: map[string]*[2]budget{}, limits: limits}
	b.disk.shut = full
	b.disk.limit.Store(disk)
	b.memory.limit.Store(memory)
	return b
}

// reload takes the accounts' limits as they are configured now.
func (b *budgets) reload() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, a := range b.accounts {
		disk, mem := b.limits(name)
		a[0].limit.Store(disk)
		a[1].limit.Store(mem)
	}
}

// of returns the budget of an account's streams.
func (b *budgets) of(account string, memory bool) partition.Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[account]
	if a == nil {
		a = &[2]budget{}
		b.accounts[account] = a
		disk, mem := b.limits(account)
		a[0].limit.Store(disk)
		a[1].limit.Store(mem)
	}
	if memory {
		return lease{&a[1], &b.memory}
	}
	return lease{&a[0], &b.disk}
}
