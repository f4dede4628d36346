package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nuid"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// oldDurable is a durable of the old server. How many messages are pending the
// monitoring tells; which, a subscription.
type oldDurable struct {
	wire.Adoption
	pending int
}

// oldInboxes begins the inboxes of imports, by which those of one that was killed are
// known.
const oldInboxes = "_INBOX.weir-import"

// ours says whether a subscription is an import's.
func (s *oldSubz) ours() bool { return strings.HasPrefix(s.Inbox, oldInboxes+".") }

// free ends the sessions of imports that were killed while they had asked a durable.
func (c *liveChannel) free(ctx context.Context) error {
	found := false
	for i := range c.state.Subs {
		sub := &c.state.Subs[i]
		if !sub.IsDurable || sub.IsOffline || !sub.ours() {
			continue
		}
		s, err := openSession(ctx, c.nc, c.cluster, sub.Client, c.session.timeout) // takes the place of who does not answer
		if err != nil {
			return fmt.Errorf("end what an earlier import has begun: %w", err)
		}
		s.close(ctx)
		found = true
	}
	if !found {
		return nil
	}
	return c.look(ctx)
}

// durablesOf gives the durables of a channel as far as the monitoring tells, how many
// subscriptions are none, and which durables are in use.
func durablesOf(z *oldChannelz) (all []*oldDurable, other int, used []string) {
	groups := map[string]bool{}
	for i := range z.Subs {
		s := &z.Subs[i]
		if !s.IsDurable {
			if !s.ours() {
				other++
			}
			continue
		}
		q := &oldDurable{pending: s.Pending, Adoption: wire.Adoption{
			Channel: z.Name, Client: s.Client, Durable: s.Durable, MaxInFlight: s.MaxInFlight, AckWait: s.AckWait, LastSent: s.LastSent,
		}}
		if s.Queue != "" {
			q.Durable, q.Queue, _ = strings.Cut(s.Queue, ":")
		}
		if name := durableName(&q.Adoption); !s.IsOffline && !slices.Contains(used, name) {
			used = append(used, name)
		}
		if s.Queue == "" || !groups[s.Queue] { // members are one group
			all = append(all, q)
		}
		groups[s.Queue] = true
	}
	return all, other, used
}

// ask finds which messages a durable has not acknowledged. It is resumed in its client's
// name, takes what the server sends again, acknowledges nothing, and is closed: with
// room for one message, and that one taken, nothing new is sent.
func (c *liveChannel) ask(ctx context.Context, q *oldDurable) error {
	if q.pending == 0 {
		return nil
	}
	failed := func(err error) error {
		return fmt.Errorf("find what durable %s has not acknowledged: %w", durableName(&q.Adoption), err)
	}
	id := q.Client
	if q.Queue != "" {
		id = "weir-import-" + nuid.Next()
	}
	s, err := openSession(ctx, c.nc, c.cluster, id, c.session.timeout)
	if err != nil {
		return failed(err)
	}
	defer s.close(ctx)
	sub, err := s.subscribe(ctx, wire.SubscriptionRequest{
		Subject: q.Channel, DurableName: q.Durable, QGroup: q.Queue, MaxInFlight: 1, AckWaitInSecs: oldAckWait, StartPosition: wire.NewOnly,
	})
	if err != nil {
		return failed(err)
	}
	sent := map[uint64]bool{}
	for len(sent) < q.pending && err == nil {
		var m wire.Msg
		if err = sub.next(ctx, c.quiet, &m); err == nil {
			sent[m.Sequence] = true
		}
	}
	if errors.Is(err, errQuiet) {
		err = nil // the rest was removed by limits
	}
	if err = errors.Join(err, sub.end(ctx)); err != nil {
		return failed(err)
	}
	q.Pending = slices.Sorted(maps.Keys(sent))
	return c.agree(ctx, q)
}

// agree holds what a durable was found to have not acknowledged against what the old
// server counts now.
func (c *liveChannel) agree(ctx context.Context, q *oldDurable) error {
	z, err := c.monitor.channel(ctx, c.name)
	if err != nil {
		return err
	}
	all, _, _ := durablesOf(z)
	for _, now := range all {
		if now.Durable != q.Durable || now.Queue != q.Queue || q.Queue == "" && now.Client != q.Client {
			continue
		}
		if now.pending != len(q.Pending) {
			return fmt.Errorf("durable %s has not acknowledged %s, of which %d were sent again", durableName(&q.Adoption), plural(uint64(now.pending), "message", "messages"), len(q.Pending))
		}
		q.LastSent = now.LastSent
		return nil
	}
	return fmt.Errorf("durable %s is gone", durableName(&q.Adoption))
}
