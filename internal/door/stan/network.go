package stan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// Network is where the door's clients are, if not in the account's space: a NATS
// system that others run. As a sink it sends what is staged.
type Network interface {
	broker.Sink
	Subscribe(*broker.Subscription)
	Unsubscribe(*broker.Subscription)
	Publish(*broker.Message) broker.Result
	// Flush waits until what was sent and subscribed before is in force.
	Flush(context.Context) error
}

// network is what the door asks of a Network, and of the account's space.
type network interface {
	Subscribe(*broker.Subscription)
	Unsubscribe(*broker.Subscription)
	Publish(*broker.Message) broker.Result
}

// outward lets what the account's streams and consumers send reach clients who are
// elsewhere: in the account's space their subjects stand behind a prefix.
type outward struct {
	to     Network
	prefix int // its length
}

// lead has the door serve clients in its network.
func (d *Door) lead() {
	d.net = d.space
	if d.o.Network == nil {
		return
	}
	d.net = d.o.Network
	d.far = "_INBOX.stan-far-" + nuid.Next() + "."
	d.way = &broker.Subscription{Subject: d.far + ">", Kind: broker.KindService, Sink: &outward{to: d.o.Network, prefix: len(d.far)}}
	d.space.Subscribe(d.way)
}

// OpenStage implements broker.Sink.
func (o *outward) OpenStage(p *broker.Publisher) broker.Stage {
	return &outwardStage{Stage: o.to.OpenStage(p), prefix: o.prefix}
}

// outwardStage takes the prefix off.
type outwardStage struct {
	broker.Stage
	prefix int
	m      broker.Message
}

// Add implements broker.Stage.
func (s *outwardStage) Add(sub *broker.Subscription, m *broker.Message) broker.Verdict {
	s.m = *m
	s.m.Subject = m.Subject[s.prefix:]
	return s.Stage.Add(sub, &s.m)
}

// address gives the subject in the account's space that leads to a client's. dst is
// for it where that is not the same.
func (d *Door) address(dst, subject []byte) (addr, scratch []byte) {
	if d.far == "" || len(subject) == 0 {
		return subject, dst
	}
	dst = append(append(dst[:0], d.far...), subject...)
	return dst, dst
}

// nobody says whether a message is the status that tells a requester that nobody got
// its request.
func nobody(m *broker.Message) bool { return bytes.HasPrefix(m.Header, []byte("NATS/1.0 503")) }

// checkTimeout is how long another server of the same cluster id has to answer.
const checkTimeout = 250 * time.Millisecond

// checkAlone makes sure that no other server serves the cluster in the network: both
// would answer each request. The door listens on its inboxes.
func (d *Door) checkAlone(ctx context.Context) error {
	if d.o.Network == nil {
		return nil
	}
	inbox := d.newInbox()
	found, none := make(chan struct{}), make(chan struct{})
	var first sync.Once
	d.await(inbox, func(there bool) {
		first.Do(func() {
			if there {
				close(found)
			} else {
				close(none)
			}
		})
	})
	defer d.forgo(inbox)
	probe := wire.ConnectRequest{ClientID: d.o.Cluster, HeartbeatInbox: d.newInbox()}
	d.net.Publish(&broker.Message{Subject: []byte(d.subjects.Discover), Reply: []byte(inbox), Data: probe.Append(nil)})
	timer := time.NewTimer(checkTimeout)
	defer timer.Stop()
	select {
	case <-found:
		d.net.Publish(&broker.Message{Subject: []byte(d.subjects.Close), Data: wire.AppendClose(nil, d.o.Cluster)})
		return fmt.Errorf("discovered another streaming server with cluster ID %q", d.o.Cluster)
	case <-none:
	case <-timer.C:
	case <-ctx.Done():
		return errors.Join(errors.New("look for another streaming server"), ctx.Err())
	}
	return nil
}
