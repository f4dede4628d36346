package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// How the old server is read: so many messages are on their way, and one is sent again
// after so many seconds.
const (
	oldAhead   = 1024
	oldAckWait = 60
)

// gathering brings a channel's messages into its spool.
type gathering struct {
	*liveChannel
	progress *progress
	n        uint64      // messages that are there
	at       record.View // the last one of these
	check    bool        // it is of an earlier run, and has to be the old server's still
}

// recall finds what an earlier run has gathered last.
func (g *gathering) recall() error {
	parts := g.spool.parts
	if len(parts) == 0 {
		return nil
	}
	g.check = true
	return eachOf(parts[len(parts)-1].file, func(v *record.View) error {
		g.at = record.View{Seq: v.Seq, Time: v.Time, Data: bytes.Clone(v.Data)}
		return nil
	})
}

// upTo gathers what is behind the last one, until a sequence that was there.
func (g *gathering) upTo(ctx context.Context, last uint64) error {
	for g.at.Seq < last {
		from := g.at.Seq + 1
		if g.check {
			from = g.at.Seq // it comes once more
		}
		switch err := g.run(ctx, from, last); {
		case errors.Is(err, errQuiet):
			if gone, err := g.gone(ctx); err != nil || gone {
				return err
			}
		case err != nil:
			return err
		}
	}
	return nil
}

// gone says whether the old server has removed all that was still to come.
func (g *gathering) gone(ctx context.Context) (bool, error) {
	if err := g.look(ctx); err != nil {
		return false, err
	}
	if g.monitor != nil && g.state.Msgs > 0 && g.state.First <= g.state.Last && g.state.Last > g.at.Seq {
		return false, fmt.Errorf("the old server sends nothing behind message %d of %d", g.at.Seq, g.state.Last)
	}
	g.at.Seq = max(g.at.Seq, g.state.Last)
	return true, nil
}

// run gathers what one subscription brings, as long as one sequence follows another. The
// first one may be any: what is before it the old server does not have.
func (g *gathering) run(ctx context.Context, from, last uint64) error {
	sub, err := g.session.subscribe(ctx, wire.SubscriptionRequest{
		Subject: g.name, MaxInFlight: oldAhead, AckWaitInSecs: oldAckWait, StartPosition: wire.SequenceStart, StartSequence: from,
	})
	if err != nil {
		return err
	}
	first := true
	for g.at.Seq < last {
		var m wire.Msg
		if err := sub.next(ctx, g.quiet, &m); err != nil {
			return errors.Join(err, sub.end(ctx))
		}
		if err := sub.ack(&m); err != nil {
			return err
		}
		if m.Redelivered || m.Sequence < from {
			continue
		}
		if !first && m.Sequence != g.at.Seq+1 {
			break // one may be lost on its way: another subscription tells
		}
		if err := g.take(&m); err != nil {
			return errors.Join(err, sub.end(ctx))
		}
		first = false
	}
	return sub.end(ctx)
}

// take puts a message into the spool.
func (g *gathering) take(m *wire.Msg) error {
	if g.check {
		g.check = false
		if m.Sequence == g.at.Seq {
			if max(m.Timestamp, g.at.Time) != g.at.Time || !bytes.Equal(m.Data, g.at.Data) {
				return fmt.Errorf("message %d is another one than in %s: remove that to begin anew", m.Sequence, g.spool.dir)
			}
			return nil
		}
	}
	// Times may go back where the old server was started again; a log's do not.
	g.at = record.View{Seq: m.Sequence, Time: max(m.Timestamp, g.at.Time), Subject: []byte(wire.RecordSubject(g.name)), Reply: m.Reply, Data: m.Data}
	g.n++
	g.progress.showCount(g.n, max(g.n, g.state.Msgs))
	return g.spool.add(&g.at)
}
