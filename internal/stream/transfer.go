package stream

import "context"

// Bounds of the transfers that run at a time: on the node, and of one account. Each
// has a goroutine of its own that waits for a client now and then.
const (
	maxTransfers    = 8
	accountTransfer = 4
)

// transfer is a backup that is being sent, or one that is being received.
type transfer struct {
	account string
	run     func(ctx context.Context)
}

// Transfer has run called on a goroutine of the directory. ctx ends when the server
// stops, possibly before run begins. It says no where too many are running.
func (d *Directory) Transfer(account string, run func(ctx context.Context)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, k := range d.transferring {
		n += k
	}
	if n >= maxTransfers || d.transferring[account] >= accountTransfer || d.stopped {
		return false
	}
	d.transferring[account]++
	d.transfers <- transfer{account, run} // there is room for all that may run
	return true
}

// transfer runs transfers until ctx ends, and those that were accepted by then.
func (d *Directory) transfer(ctx context.Context) error {
	for {
		select {
		case t := <-d.transfers:
			d.carry(ctx, t)
			continue
		case <-ctx.Done():
		}
		d.mu.Lock()
		d.stopped = true
		d.mu.Unlock()
		select {
		case t := <-d.transfers:
			d.carry(ctx, t)
		default:
			return nil
		}
	}
}

func (d *Directory) carry(ctx context.Context, t transfer) {
	t.run(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.transferring[t.account]--; d.transferring[t.account] == 0 {
		delete(d.transferring, t.account)
	}
}
