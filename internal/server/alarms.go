package server

import (
	"context"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// alarmEvery is how often alarms looks. A full disk stays one for longer.
const alarmEvery = 250 * time.Millisecond

// alarms tells the system account what is the matter with the server as a whole: that the
// disk is full, and that requests were dropped because too many waited.
type alarms struct {
	// Set at construction.
	space      *broker.Space // of the system account
	server, id string
	domain     string
	full       func() bool
	dropped    func() uint64 // in all

	// Only run's goroutine: what was told.
	wasFull bool
	told    uint64
}

// newAlarms gives nil where there is no system account.
func (r *rooms) newAlarms(c *Config) *alarms {
	space := r.space(c.SystemAccount)
	if space == nil {
		return nil
	}
	return &alarms{
		space: space, server: r.name, id: r.id, domain: c.JetStream.Domain,
		full: r.storage.room.full.Load, dropped: r.workers.Dropped,
	}
}

// run looks until ctx ends.
func (a *alarms) run(ctx context.Context) error {
	ticker := time.NewTicker(alarmEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			a.look()
		}
	}
}

// look tells what is new since it looked last.
func (a *alarms) look() {
	if full := a.full(); full != a.wasFull {
		if a.wasFull = full; full {
			a.tell(wire.EventOutOfStorage, &wire.ServerEvent{EventHead: a.head(wire.EventOutOfStorage), Server: a.server, ServerID: a.id})
		}
	}
	if n := a.dropped(); n > a.told {
		a.tell(wire.EventAPILimit, &wire.APILimitEvent{EventHead: a.head(wire.EventAPILimit), Server: a.server, Dropped: n - a.told})
		a.told = n
	}
}

func (a *alarms) head(e wire.Event) wire.EventHead { return e.Head(nuid.Next(), time.Now(), a.domain) }

func (a *alarms) tell(e wire.Event, body any) {
	a.space.Publish(&broker.Message{Subject: e.AppendSubject(nil, "", ""), Data: wire.Encode(body)})
}
