package leaf

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nuid"
	"golang.org/x/sync/errgroup"
)

// Door is the leaf node side of this server. Its methods may be called by any goroutine.
type Door struct {
	o       Options
	remotes []*Remote
	totals  counters
	ids     atomic.Uint64 // of connections
}

// counters of all links, or of one.
type counters struct {
	inMsgs, inBytes, outMsgs, outBytes atomic.Uint64
	dropped                            atomic.Uint64 // not sent: too much waited, or too large for the other side
	refused                            atomic.Uint64 // not stored: a stream had no room
	connects                           atomic.Uint64
}

// Totals are what the links did since the start.
type Totals struct {
	Links                              int // that are up
	InMsgs, InBytes, OutMsgs, OutBytes uint64
	Dropped                            uint64 // not sent
	Refused                            uint64 // came, and found no room in a stream
	Connects                           uint64 // connections ever made
}

// LinkInfo is one connection as it is now.
type LinkInfo struct {
	ID                                 uint64
	Name, Account, RemoteAccount       string // the other server's name; the accounts here and there
	IP                                 string
	Port                               int
	RTT                                time.Duration // 0: not known yet
	InMsgs, OutMsgs, InBytes, OutBytes uint64
	Subscriptions                      []string // what the other side wants
	Secure                             bool
}

// New returns a door that is not connected. It fails where a remote cannot be used.
func New(o Options) (*Door, error) {
	o.fill()
	d := &Door{o: o}
	// One account has one name by which it finds out that what it announces comes back.
	loops := map[string]string{}
	for i := range o.Remotes {
		ro := &o.Remotes[i]
		if loops[ro.Account] == "" {
			loops[ro.Account] = "$LDS." + nuid.Next()
		}
		r, err := newRemote(d, *ro, loops[ro.Account])
		if err != nil {
			return nil, fmt.Errorf("leaf node remote: %w", err)
		}
		d.remotes = append(d.remotes, r)
	}
	return d, nil
}

// Run keeps the links up until ctx ends.
func (d *Door) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range d.remotes {
		g.Go(func() error { return r.run(ctx) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Links gives the connections that are up.
func (d *Door) Links() []LinkInfo {
	var out []LinkInfo
	for _, r := range d.remotes {
		if l := r.link(); l != nil {
			out = append(out, l.describe())
		}
	}
	return out
}

// Remotes is how many systems there are to be joined.
func (d *Door) Remotes() int { return len(d.remotes) }

// Totals gives the counters.
func (d *Door) Totals() Totals {
	t := Totals{
		InMsgs: d.totals.inMsgs.Load(), InBytes: d.totals.inBytes.Load(), OutMsgs: d.totals.outMsgs.Load(), OutBytes: d.totals.outBytes.Load(),
		Dropped: d.totals.dropped.Load(), Refused: d.totals.refused.Load(), Connects: d.totals.connects.Load(),
	}
	for _, r := range d.remotes {
		if r.link() != nil {
			t.Links++
		}
	}
	return t
}
