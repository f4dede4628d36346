package stan_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/stan.go"
	"github.com/weirmq/weir/conformance/harness"
)

// again ends the server in one of two ways and starts it.
func again(s *harness.Server, kill bool) {
	if kill {
		s.Kill()
	} else {
		s.Stop()
	}
	s.Run()
}

func bothWays(t *testing.T, run func(t *testing.T, kill bool)) {
	t.Run("stopped", func(t *testing.T) { run(t, false) })
	t.Run("killed", func(t *testing.T) { run(t, true) })
}

// TestClientsAndDurablesOutliveTheServer has a client that does nothing about the
// server's end: it goes on when the server is back.
func TestClientsAndDurablesOutliveTheServer(t *testing.T) {
	bothWays(t, func(t *testing.T, kill bool) {
		s := start(t, "")
		c := connect(t, s.URL, "me")
		d := c.subscribe("foo", "", stan.DurableName("dur"), stan.AckWait(time.Second))
		c.put("foo", 1, 20)
		d.want(1, 20, func(i int) bool { return i%5 != 0 })
		c.settled()
		again(s, kill)

		// What was not acknowledged comes again, flagged; what was, does not, but for what
		// a crash may have lost of the last acknowledgements.
		missing := map[uint64]bool{5: true, 10: true, 15: true, 20: true}
		for len(missing) > 0 {
			m := d.next()
			if !m.Redelivered || m.RedeliveryCount == 0 {
				t.Errorf("message %d comes again without the flag", m.Sequence)
			}
			if !kill && m.Sequence%5 != 0 {
				t.Errorf("message %d was acknowledged", m.Sequence)
			}
			delete(missing, m.Sequence)
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		c.put("foo", 21, 30)
		for want := uint64(21); want <= 30; {
			m := d.next()
			if m.Sequence == want {
				want++
			} else if !m.Redelivered {
				t.Fatalf("message %d, want %d", m.Sequence, want)
			}
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-c.lost:
			t.Fatalf("the client is told that it was lost: %v", err)
		default:
		}

		// A durable that is closed keeps its place, through a restart and for another connection.
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		c.put("foo", 31, 35)
		again(s, kill)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = connect(t, s.URL, "me")
		d = c.subscribe("foo", "", stan.DurableName("dur"), stan.StartAtSequence(1))
		d.want(31, 35, all)
		if err := d.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		d = c.subscribe("foo", "", stan.DurableName("dur"), stan.DeliverAllAvailable())
		d.want(1, 35, all) // it was forgotten
	})
}

// TestQueueDurablesOutliveTheServerAndTheirMembers has members of two clients.
func TestQueueDurablesOutliveTheServerAndTheirMembers(t *testing.T) {
	bothWays(t, func(t *testing.T, kill bool) {
		s := start(t, "")
		one, two := connect(t, s.URL, "one"), connect(t, s.URL, "two")
		opts := []stan.SubscriptionOption{stan.DurableName("dur"), stan.AckWait(30 * time.Second), stan.MaxInflight(5)}
		a := one.subscribe("foo", "q", opts...)
		one.put("foo", 1, 5)
		a.want(1, 5, none) // it is full
		b := two.subscribe("foo", "q", opts...)
		one.put("foo", 6, 10)
		b.want(6, 10, none)
		again(s, kill)

		one.back()
		// The second member leaves: what it held goes to the first, who is full, all the same.
		if err := two.Close(); err != nil {
			t.Fatal(err)
		}
		got := map[uint64]bool{}
		for len(got) < 5 {
			m := a.next()
			if !m.Redelivered && !kill {
				t.Errorf("message %d comes again without the flag", m.Sequence)
			}
			if m.Sequence < 6 {
				continue // its own may come again, after a kill
			}
			got[m.Sequence] = true
			if m.Sequence != 7 {
				if err := m.Ack(); err != nil {
					t.Fatal(err)
				}
			}
		}
		// The last member closes; the group stays, with what was not acknowledged.
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		one.put("foo", 11, 12)
		again(s, kill)
		three := connect(t, s.URL, "three")
		d := three.subscribe("foo", "q", opts...)
		seen := map[uint64]bool{}
		for !seen[1] || !seen[5] || !seen[7] || !seen[11] || !seen[12] {
			m := d.next()
			if m.Sequence <= 10 && !m.Redelivered {
				t.Errorf("message %d comes as if for the first time", m.Sequence)
			}
			if m.Sequence > 10 && !seen[7] {
				t.Errorf("message %d comes before what was not acknowledged", m.Sequence)
			}
			if !kill && m.Sequence > 5 && m.Sequence < 11 && m.Sequence != 7 {
				t.Errorf("message %d was acknowledged", m.Sequence)
			}
			seen[m.Sequence] = true
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		// The last member ends it for good.
		if err := d.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		d = three.subscribe("foo", "q", append(opts, stan.StartWithLastReceived())...)
		d.want(12, 12, all)
	})
}

// TestPublishersHaveAnAnswerThroughAKill publishes while the server is killed: what was
// acknowledged is there, once or, where the client repeated it, more often.
func TestPublishersHaveAnAnswerThroughAKill(t *testing.T) {
	s := start(t, "")
	c := connect(t, s.URL, "me")
	const messages = 3000
	acked := make(chan string, messages)
	refused := make(chan error, messages)
	for i := range messages {
		guid := ""
		text := strings.Repeat("x", 100) + string(rune('a'+i%26))
		guid, err := c.PublishAsync("foo", []byte(text), func(id string, err error) {
			if err != nil {
				refused <- err
				return
			}
			acked <- id
		})
		if err != nil || guid == "" {
			t.Fatal(err)
		}
		if i == messages/2 {
			s.Kill()
			s.Run()
		}
	}
	// The first half is answered before the kill or never; the second may have come when nobody listened.
	harness.Eventually(t, "the server takes messages again", func() bool { return c.Publish("foo", []byte("0")) == nil })
	n := len(acked)
	d := c.subscribe("foo", "", stan.DeliverAllAvailable(), stan.MaxInflight(messages+1))
	last := uint64(0)
	for {
		m := d.next()
		if m.Sequence != last+1 {
			t.Fatalf("message %d behind %d", m.Sequence, last)
		}
		last = m.Sequence
		if string(m.Data) == "0" {
			break
		}
	}
	if last < uint64(n)+1 {
		t.Errorf("%d messages are there, %d were acknowledged", last, n)
	}
	for len(refused) > 0 {
		if err := <-refused; !errors.Is(err, stan.ErrTimeout) {
			t.Errorf("refused: %v", err)
		}
	}
}
