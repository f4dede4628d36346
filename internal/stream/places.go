package stream

import (
	"context"
	"fmt"
)

// promises are the places for streams and consumers of an account that creations under
// way hold. The directory's lock guards them.
type promises struct {
	streams, consumers int
	ended              chan struct{} // closed, and another made, when one is given back
}

// PromiseStreams holds places for n more streams of an account that may have limit of
// them, until done is called: when they are there, or never will be. A stream that is
// being restored has its place already. Where it depends on how creations under way
// end, it waits for them. ErrMaxStreams: there is no room. A limit of zero or less is
// none.
func (d *Directory) PromiseStreams(ctx context.Context, account string, n, limit int) (done func(), err error) {
	return d.promise(ctx, account, n, limit, ErrMaxStreams,
		func() int { return d.streamsLocked(account) }, func(p *promises) *int { return &p.streams })
}

// PromiseConsumer is PromiseStreams for one consumer of any stream of the account.
// ErrMaxConsumers: there is no room.
func (d *Directory) PromiseConsumer(ctx context.Context, account string, limit int) (done func(), err error) {
	return d.promise(ctx, account, 1, limit, ErrMaxConsumers,
		func() int { return d.consumersLocked(account) }, func(p *promises) *int { return &p.consumers })
}

// promise holds n places of those that of tells. One whose thing is there counts twice
// until it is given back: only what is there refuses, what is promised makes wait.
func (d *Directory) promise(ctx context.Context, account string, n, limit int, full error, there func() int, of func(*promises) *int) (done func(), err error) {
	if limit <= 0 {
		return func() {}, nil
	}
	for {
		d.mu.Lock()
		p := d.promised[account]
		if p == nil {
			p = &promises{ended: make(chan struct{})}
			d.promised[account] = p
		}
		has := there()
		if has+n > limit {
			d.mu.Unlock()
			return nil, full
		}
		if has+*of(p)+n <= limit {
			*of(p) += n
			d.mu.Unlock()
			return func() { d.giveBack(p, of(p), n) }, nil
		}
		ended := p.ended
		d.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for creations in account %q: %w", account, ctx.Err())
		}
	}
}

// giveBack ends a promise of n.
func (d *Directory) giveBack(p *promises, of *int, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*of -= n
	close(p.ended)
	p.ended = make(chan struct{})
}

// streamsLocked is the number of an account's streams, with those that are being
// restored.
func (d *Directory) streamsLocked(account string) int {
	n := len(d.accounts[account])
	for k := range d.restoring {
		if k[0] == account {
			n++
		}
	}
	return n
}

// consumersLocked is the number of consumers of an account's streams.
func (d *Directory) consumersLocked(account string) int {
	n := 0
	for _, s := range d.accounts[account] {
		n += int(s.delivers.Load())
	}
	return n
}
