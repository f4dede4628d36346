package stan

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// client is one who is connected. What is stored of it is the record clientRecord.
type client struct {
	// Set at construction.
	clientRecord
	seq uint64 // of its record

	gone atomic.Bool

	members map[*member]struct{} // guarded by Door.mu

	// Only the client's lane.
	probing bool

	beat  *alarm
	mu    sync.Mutex
	pulse pulse // guarded by mu
}

// clientRecord is what a restart has to know of a client.
type clientRecord struct {
	ID             string `json:"id"`
	HeartbeatInbox string `json:"hb_inbox"`
	ConnID         connID `json:"conn_id,omitempty"`
	Protocol       int32  `json:"protocol,omitempty"`
	PingInterval   int32  `json:"ping_interval,omitempty"`
	PingMaxOut     int32  `json:"ping_max_out,omitempty"`
}

// connID names a connection. Clients choose it: any bytes.
type connID string

// notText is what the stored form of an id begins with that is not a text; the rest is in
// base64.
const notText = "base64:"

// MarshalText implements encoding.TextMarshaler.
func (id connID) MarshalText() ([]byte, error) {
	if s := string(id); utf8.ValidString(s) && !strings.HasPrefix(s, notText) {
		return []byte(s), nil
	}
	return base64.StdEncoding.AppendEncode([]byte(notText), []byte(id)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *connID) UnmarshalText(b []byte) error {
	rest, is := bytes.CutPrefix(b, []byte(notText))
	if !is {
		*id = connID(b)
		return nil
	}
	b, err := base64.StdEncoding.AppendDecode(nil, rest)
	if err != nil {
		return fmt.Errorf("decode a connection's id: %w", err)
	}
	*id = connID(b)
	return nil
}

// published says whether a message is of this client.
func (c *client) published(p *wire.PubMsg) bool {
	if len(p.ConnID) > 0 {
		return string(c.ConnID) == string(p.ConnID)
	}
	return c.ID == string(p.ClientID)
}

// register stores a client and lets others find it.
func (d *Door) register(ctx context.Context, r clientRecord) error {
	data, err := json.Marshal(&r)
	if err != nil {
		return fmt.Errorf("encode client %q: %w", r.ID, err)
	}
	o, err := d.store.Store(ctx, &record.Parts{Subject: []byte(r.ID), Data: data})
	if err != nil {
		return fmt.Errorf("store client %q: %w", r.ID, err)
	}
	if o.Refusal != partition.Accepted {
		return errors.New(refusals[o.Refusal])
	}
	c := d.admit(r, o.Seq)
	d.clock.set(c.beat, d.o.HeartbeatInterval)
	return nil
}

// admit lets others find a client whose record is stored.
func (d *Door) admit(r clientRecord, seq uint64) *client {
	c := &client{clientRecord: r, seq: seq, members: map[*member]struct{}{}}
	c.beat = newAlarm(func() { d.heartbeat(c) })
	d.mu.Lock()
	d.clients[r.ID] = c
	if r.ConnID != "" {
		d.conns[string(r.ConnID)] = c
	}
	d.mu.Unlock()
	return c
}

// membersOf lists what a client is subscribed to.
func (d *Door) membersOf(c *client) []*member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]*member, 0, len(c.members))
	for m := range c.members {
		out = append(out, m)
	}
	return out
}

// client is one who is connected; nil if there is none of this id.
func (d *Door) client(id string) *client {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.clients[id]
}
