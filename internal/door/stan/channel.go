package stan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// The states of a channel.
const (
	channelOpening int32 = iota
	channelOpen
	channelLeaving // it is being deleted
	channelGone
)

// channel is a stream as its publishers and subscribers know it.
type channel struct {
	// Set at construction.
	name  string
	as    []byte // subject of its records
	limit ChannelLimits
	ready chan struct{} // closed when it is open or could not be made
	idle  *alarm        // rings when it may be inactive for too long

	state  atomic.Int32
	stream *stream.Stream // set before state is channelOpen
	failed string         // set before ready is closed: why it could not be made

	mu sync.Mutex
	// Guarded by mu: publishes that wait for the channel to be made.
	held  []heldPublish
	bytes int

	turn chan struct{} // a token: who holds it may change what follows
	// Held with turn.
	groups map[string]*group // by their consumer's name
	stored int               // subscriptions, those without a client included
	active int               // those with one
}

// heldPublish is a copy of a publish.
type heldPublish struct{ data, reply []byte }

// maxHeld is how many bytes wait for a channel to be made. A publisher with more has
// to wait itself.
const maxHeld = 4 << 20

func (d *Door) newChannel(name string) *channel {
	ch := &channel{
		name: name, as: []byte(wire.RecordSubject(name)), limit: d.o.Limits.Of(name), ready: make(chan struct{}),
		turn: make(chan struct{}, 1), groups: map[string]*group{},
	}
	ch.idle = newAlarm(func() { d.openerOf(name).push(func() { d.checkIdle(ch) }) })
	return ch
}

// take waits for the channel's turn and returns what ends it.
func (ch *channel) take() (done func()) {
	ch.turn <- struct{}{}
	return func() { <-ch.turn }
}

// openerOf is the lane on which a channel is made and deleted. What runs there waits for
// no lane.
func (d *Door) openerOf(name string) *lane { return d.openers[hash(name)%openers] }

// channel is one that exists, or is being made; nil: there is none.
func (d *Door) channel(name string) *channel {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.channels[name]
}

// open finds a channel, or begins to make it. text is why there is none.
func (d *Door) open(name string) (ch *channel, text string) {
	if ch = d.channel(name); ch == nil {
		if !wire.ValidChannel(name) {
			return nil, wire.InvalidPubReq
		}
		if ch, text = d.begin(name); text != "" {
			return nil, text
		}
	}
	if ch.state.Load() == channelLeaving {
		return nil, wire.ChannelDeleted
	}
	return ch, ""
}

// begin has a channel made, unless there is one.
func (d *Door) begin(name string) (*channel, string) {
	ch, text, made := d.reserve(name)
	if made {
		d.openerOf(name).push(func() { d.make(ch) })
	}
	return ch, text
}

// reserve finds a channel, or takes its name for a new one, which made says.
func (d *Door) reserve(name string) (ch *channel, text string, made bool) {
	lower := strings.ToLower(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if ch := d.channels[name]; ch != nil {
		return ch, "", false
	}
	if other, taken := d.folded[lower]; taken {
		return nil, wire.CaseClash(name, other), false
	}
	if most := d.o.Limits.MaxChannels; most > 0 && len(d.channels) >= most {
		return nil, wire.TooManyChannels, false
	}
	ch = d.newChannel(name)
	d.channels[name], d.folded[lower] = ch, name
	return ch, "", true
}

// make makes a channel's stream, and stores what was published meanwhile.
func (d *Door) make(ch *channel) {
	ctx, cancel := d.context()
	defer cancel()
	s, err := d.streamFor(ctx, ch)
	if err == nil {
		err = d.configure(ctx, ch.name, s)
	}
	if err != nil {
		d.log.Error("channel not made", "channel", ch.name, "error", err)
		ch.failed = "stan: " + err.Error()
		d.unlist(ch)
		for _, h := range ch.release(channelGone) {
			d.refuseHeld(&h, ch.failed)
		}
		close(ch.ready)
		return
	}
	d.log.Info("channel made", "channel", ch.name, "stream", s.Name())
	ch.stream = s
	d.storeHeld(ctx, ch)
	close(ch.ready)
	d.watchIdle(ch)
}

// watchIdle sets the alarm for a channel that nobody uses.
func (d *Door) watchIdle(ch *channel) {
	if ch.limit.MaxInactivity > 0 {
		d.clock.set(ch.idle, ch.limit.MaxInactivity)
	}
}

// storeHeld stores what was published before the channel was there, in order, and
// opens it. What finds no room before ctx ends is refused.
func (d *Door) storeHeld(ctx context.Context, ch *channel) {
	st := ch.stream.Stage(pubAck)
	s := &stage{door: d, stagings: map[*channel]*staging{ch: {Staging: st, channel: ch}}, channel: ch}
	for {
		held := ch.release(channelOpen)
		if len(held) == 0 {
			return
		}
		for i := range held {
			m := broker.Message{Data: held[i].data, Reply: held[i].reply}
			if s.msg.Decode(m.Data) != nil {
				continue // it was decoded before
			}
			if !d.appendHeld(ctx, s, &m) {
				d.refuseHeld(&held[i], refusals[partition.Overload])
			}
		}
		s.HandOver()
	}
}

// firstPause is how long storing waits before it tries a full stream again; the wait
// doubles each time, up to 64 of them.
const firstPause = time.Millisecond

// appendHeld stages a message. While too much is in flight it waits until ctx ends or
// the door stops; false says that it has not staged it.
func (d *Door) appendHeld(ctx context.Context, s *stage, m *broker.Message) bool {
	for pause := firstPause; ; pause = min(2*pause, 64*firstPause) {
		if v, _ := s.append(s.channel, m, &s.msg); v != broker.Full {
			return true
		}
		s.HandOver()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		if d.stopped.Load() {
			return false
		}
	}
}

// hold keeps a copy of a publish while the channel is being made. taken is false
// where it is not.
func (ch *channel) hold(m *broker.Message) (v broker.Verdict, taken bool) {
	if ch.state.Load() != channelOpening {
		return 0, false
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.state.Load() != channelOpening {
		return 0, false
	}
	if ch.bytes > maxHeld {
		return broker.Full, true
	}
	ch.held = append(ch.held, heldPublish{bytes.Clone(m.Data), bytes.Clone(m.Reply)})
	ch.bytes += len(m.Data) + len(m.Reply)
	return broker.Staged, true
}

// release gives what is held. Where that is nothing the state becomes the next one.
func (ch *channel) release(next int32) []heldPublish {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	held := ch.held
	ch.held, ch.bytes = nil, 0
	if len(held) == 0 || next == channelGone {
		ch.state.Store(next)
	}
	return held
}

func (d *Door) refuseHeld(h *heldPublish, text string) {
	var p wire.PubMsg
	if p.Decode(h.data) == nil {
		d.answer(string(h.reply), wire.AppendPubAck(nil, p.GUID, text))
	}
}

// list lets others find a channel.
func (d *Door) list(ch *channel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.channels[ch.name], d.folded[strings.ToLower(ch.name)] = ch, ch.name
}

// unlist lets nobody find a channel any more.
func (d *Door) unlist(ch *channel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.channels[ch.name] == ch {
		delete(d.channels, ch.name)
		delete(d.folded, strings.ToLower(ch.name))
	}
}

// forget ends a channel whose stream was deleted, with its subscriptions.
func (d *Door) forget(ch *channel) {
	d.unlist(ch)
	ch.state.Store(channelGone)
	d.clock.clear(ch.idle)
	d.mu.RLock()
	var members []*member
	for _, m := range d.inboxes {
		if m.group.channel == ch {
			members = append(members, m)
		}
	}
	d.mu.RUnlock()
	for _, m := range members {
		d.detach(m)
	}
}

// find waits for a channel to be there for a subscription.
func (d *Door) find(ctx context.Context, name string) (*channel, string) {
	for {
		ch, text := d.open(name)
		if text != "" {
			return nil, text
		}
		select {
		case <-ch.ready:
		case <-ctx.Done():
			return nil, fmt.Sprintf("stan: make channel: %v", ctx.Err())
		}
		switch {
		case ch.failed != "":
			return nil, ch.failed
		case ch.stream.Dropped():
			d.forget(ch)
		default:
			return ch, ""
		}
	}
}

// checkIdle deletes a channel that was not used for too long: nobody is subscribed,
// or only durables without a client, and nothing was published.
func (d *Door) checkIdle(ch *channel) {
	defer ch.take()()
	if ch.active > 0 || ch.state.Load() != channelOpen {
		return // the last one who leaves sets the alarm
	}
	if at := ch.stream.Partition().Status().LastTime; at > 0 {
		if left := ch.limit.MaxInactivity - time.Since(time.Unix(0, at)); left > 0 {
			d.clock.set(ch.idle, left)
			return
		}
	}
	ch.state.Store(channelLeaving)
	ctx, cancel := d.context()
	defer cancel()
	if err := d.dir.Drop(ctx, ch.stream); err != nil && !errors.Is(err, stream.ErrNotFound) {
		d.log.Error("inactive channel not deleted", "channel", ch.name, "error", err)
		ch.state.Store(channelOpen)
		d.watchIdle(ch)
		return
	}
	d.log.Info("inactive channel deleted", "channel", ch.name)
	d.forget(ch)
}
