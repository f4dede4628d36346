package stan

import (
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// probeTimeout is how long a client that is connected has to prove that it is there
// when another one connects with its id.
const probeTimeout = 500 * time.Millisecond

// connect begins a session. It runs on the client's lane.
func (d *Door) connect(r *wire.ConnectRequest, reply string) {
	old := d.client(r.ClientID)
	switch {
	case old == nil:
		d.connected(r, reply)
	case old.probing:
		d.refuseConnect(reply, wire.ClientRegistered)
	default:
		d.probe(old, r, reply)
	}
}

func (d *Door) refuseConnect(reply, text string) {
	d.answer(reply, (&wire.ConnectResponse{Error: text}).Append(nil))
}

// connected registers a client and tells it so.
func (d *Door) connected(r *wire.ConnectRequest, reply string) {
	ctx, cancel := d.context()
	defer cancel()
	err := d.register(ctx, clientRecord{
		ID: r.ClientID, HeartbeatInbox: r.HeartbeatInbox, ConnID: connID(r.ConnID),
		Protocol: r.Protocol, PingInterval: r.PingInterval, PingMaxOut: r.PingMaxOut,
	})
	if err != nil {
		d.log.Error("client not connected", "client", r.ClientID, "error", err)
		d.refuseConnect(reply, err.Error())
		return
	}
	d.log.Debug("client connected", "client", r.ClientID)
	out := wire.ConnectResponse{
		PubPrefix: d.subjects.Publish, SubRequests: d.subjects.Subscribe, UnsubRequests: d.subjects.Unsubscribe,
		CloseRequests: d.subjects.Close, SubCloseRequests: d.subjects.SubClose, Protocol: wire.Protocol,
	}
	if r.Protocol >= 1 {
		out.PingRequests, out.PingInterval, out.PingMaxOut = d.subjects.Pings, r.PingInterval, r.PingMaxOut
	}
	d.answer(reply, out.Append(nil))
}

// probe asks the client that has the id whether it is there. If it is, the newcomer
// is refused, else it takes its place. The lane goes on meanwhile.
func (d *Door) probe(old *client, r *wire.ConnectRequest, reply string) {
	old.probing = true
	inbox := d.newInbox()
	lane := d.lane(r.ClientID)
	settled := false // only the lane
	settle := func(alive bool) func() {
		return func() {
			if settled {
				return
			}
			settled = true
			d.forgo(inbox)
			old.probing = false
			if alive && !old.gone.Load() {
				d.refuseConnect(reply, wire.ClientRegistered)
				return
			}
			if !old.gone.Load() {
				d.log.Info("client replaced", "client", r.ClientID)
				d.leave(old)
			}
			d.connected(r, reply)
		}
	}
	alarm := newAlarm(func() { lane.push(settle(false)) })
	var once sync.Once // it may answer as often as it likes
	d.await(inbox, func(there bool) {
		once.Do(func() {
			d.clock.clear(alarm)
			lane.push(settle(there))
		})
	})
	if d.ask(old.HeartbeatInbox, inbox) {
		d.clock.set(alarm, probeTimeout)
		return
	}
	settle(false)()
}

// ask publishes an empty request. It says whether anybody got it.
func (d *Door) ask(subject, reply string) bool {
	res := d.net.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(reply)})
	return !res.Nobody()
}
