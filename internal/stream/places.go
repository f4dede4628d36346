package stream

import (
	"context"
	"fmt"
	"math"
)

// promises are the places for streams and consumers of an account, and the bytes of its
// streams, that creations and updates under way hold. The directory's lock guards them.
type promises struct {
	streams, consumers int64
	memory, storage    int64         // bytes
	ended              chan struct{} // closed, and another made, when one is given back
}

// PromiseStreams holds places for n more streams of an account that may have limit of
// them, until done is called: when they are there, or never will be. A stream that is
// being restored has its place already. Where it depends on how creations under way
// end, it waits for them. ErrMaxStreams: there is no room. A limit of zero or less is
// none.
func (d *Directory) PromiseStreams(ctx context.Context, account string, n, limit int) (done func(), err error) {
	if limit <= 0 {
		return func() {}, nil
	}
	return d.promise(ctx, account, int64(n), int64(limit), ErrMaxStreams,
		func() int64 { return d.streamsLocked(account) }, func(p *promises) *int64 { return &p.streams })
}

// PromiseConsumer is PromiseStreams for one consumer of any stream of the account.
// ErrMaxConsumers: there is no room.
func (d *Directory) PromiseConsumer(ctx context.Context, account string, limit int) (done func(), err error) {
	if limit <= 0 {
		return func() {}, nil
	}
	return d.promise(ctx, account, 1, int64(limit), ErrMaxConsumers,
		func() int64 { return d.consumersLocked(account) }, func(p *promises) *int64 { return &p.consumers })
}

// PromiseBytes is PromiseStreams for n more bytes to which the streams of an account on
// one kind of storage may grow together, by their Limits.MaxBytes. There is a limit, of
// zero or more. ErrMaxBytes: there is no room.
func (d *Directory) PromiseBytes(ctx context.Context, account string, memory bool, n, limit int64) (done func(), err error) {
	there := func() int64 {
		inMemory, onDisk := d.reservedLocked(account)
		if memory {
			return inMemory
		}
		return onDisk
	}
	return d.promise(ctx, account, n, limit, ErrMaxBytes, there, func(p *promises) *int64 {
		if memory {
			return &p.memory
		}
		return &p.storage
	})
}

// Reserved sums up, in bytes, what an account's streams may grow to: the MaxBytes of
// those that have one, and of those that are being restored.
func (d *Directory) Reserved(account string) (memory, storage int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reservedLocked(account)
}

// promise holds n places of those that of tells. One whose thing is there counts twice
// until it is given back: only what is there refuses, what is promised makes wait.
func (d *Directory) promise(ctx context.Context, account string, n, limit int64, full error, there func() int64, of func(*promises) *int64) (done func(), err error) {
	for {
		d.mu.Lock()
		p := d.promised[account]
		if p == nil {
			p = &promises{ended: make(chan struct{})}
			d.promised[account] = p
		}
		left := limit - there()
		if n > left {
			d.mu.Unlock()
			return nil, full
		}
		if n <= left-*of(p) {
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
func (d *Directory) giveBack(p *promises, of *int64, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*of -= n
	close(p.ended)
	p.ended = make(chan struct{})
}

// streamsLocked is the number of an account's streams, with those that are being
// restored.
func (d *Directory) streamsLocked(account string) int64 {
	n := int64(len(d.accounts[account]))
	for k := range d.restoring {
		if k[0] == account {
			n++
		}
	}
	return n
}

// consumersLocked is the number of consumers of an account's streams.
func (d *Directory) consumersLocked(account string) int64 {
	n := int64(0)
	for _, s := range d.accounts[account] {
		n += s.delivers.Load()
	}
	return n
}

// reservedLocked is Reserved.
func (d *Directory) reservedLocked(account string) (memory, storage int64) {
	add := func(c *Config) {
		sum := &storage
		if c.Memory {
			sum = &memory
		}
		*sum += min(max(c.Limits.MaxBytes, 0), math.MaxInt64-*sum)
	}
	for _, s := range d.accounts[account] {
		add(s.Config())
	}
	for k, s := range d.restoring {
		if k[0] == account {
			add(s.Config())
		}
	}
	return memory, storage
}
