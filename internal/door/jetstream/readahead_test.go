package jetstream

import (
	"fmt"
	"math/rand"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// long is a stream with so many messages that consumers are read ahead for.
type long struct {
	*rig
	n int
}

func newLong(t *testing.T, n int) *long {
	l := &long{rig: newRig(t), n: n}
	l.stream("S", "s.>")
	for i := range n {
		l.space.Publish(&broker.Message{Subject: fmt.Appendf(nil, "s.%d", i%2), Data: []byte(strconv.Itoa(i + 1))})
	}
	streamtest.Await(t, "all is stored", func() bool { return l.committed() == uint64(n) })
	l.Checkpoint()
	return l
}

func (l *long) committed() uint64 { return l.Streams.Find("A", "S").Partition().Committed() }

// listener gets what a consumer sends.
type listener struct {
	name, filter string
	in           *streamtest.Inbox
}

// push makes a consumer that sends by itself to a listener.
func (l *long) push(name, filter string) listener {
	in := streamtest.Subscribe(l.t, l.space, "to."+name)
	l.consumer("S", name, `"ack_policy":"none"`, fmt.Sprintf(`"filter_subject":%q,"deliver_subject":"to.%s"`, filter, name))
	return listener{name, filter, in}
}

// take gets the messages of a consumer up to the last one that is meant for it.
func (l *long) take(t *testing.T, c listener) map[uint64]bool {
	end := uint64(l.n)
	if c.filter == "s.0" {
		end--
	}
	seen, last := map[uint64]bool{}, uint64(0)
	for last < end {
		m, ok := within(t, c.in.C)
		if !ok {
			t.Errorf("%s got nothing after %d", c.name, last)
			break
		}
		seq := sequenceOf(t, m)
		if seq <= last {
			t.Errorf("%s got %d after %d", c.name, seq, last)
		}
		if string(m.Data) != strconv.FormatUint(seq, 10) || m.Subject != fmt.Sprintf("s.%d", (seq-1)%2) {
			t.Errorf("%s got %s=%s as %d", c.name, m.Subject, m.Data, seq)
		}
		if c.filter != "s.>" && m.Subject != c.filter {
			t.Errorf("%s got %s", c.name, m.Subject)
		}
		last, seen[seq] = seq, true
	}
	return seen
}

// drop deletes messages at random, but not the last ones.
func (l *long) drop(rnd *rand.Rand, n int) map[uint64]bool {
	gone := map[uint64]bool{}
	for range n {
		seq := 1 + uint64(rnd.Intn(l.n-10))
		l.api("STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d,"no_erase":true}`, seq))
		gone[seq] = true
	}
	return gone
}

// TestWhatIsReadAheadComesOnceAndNotWhenGone has consumers read a long log while
// messages are deleted from it.
func TestWhatIsReadAheadComesOnceAndNotWhenGone(t *testing.T) {
	rnd := rand.New(rand.NewSource(7))
	l := newLong(t, 20_000)
	before := l.drop(rnd, 300)
	all := []listener{l.push("all", "s.>"), l.push("odd", "s.1")}
	pull := listener{"pull", "s.0", streamtest.Subscribe(t, l.space, "to.pull")}
	l.consumer("S", "pull", `"ack_policy":"none"`, `"filter_subject":"s.0"`)
	l.space.Publish(&broker.Message{
		Subject: []byte("$JS.API.CONSUMER.MSG.NEXT.S.pull"), Reply: []byte(pull.in.Subject), Data: []byte(`{"batch":20000}`),
	})
	all = append(all, pull)
	seen := make([]map[uint64]bool, len(all))
	var done sync.WaitGroup
	for i := range all {
		done.Go(func() { seen[i] = l.take(t, all[i]) })
	}
	during := l.drop(rnd, 300)
	done.Wait()
	for i, c := range all {
		for seq := uint64(1); seq <= uint64(l.n); seq++ {
			meant := c.filter == "s.>" || c.filter == fmt.Sprintf("s.%d", (seq-1)%2)
			switch {
			case before[seq] && seen[i][seq]:
				t.Fatalf("%s got %d, which was gone", c.name, seq)
			case meant && !before[seq] && !during[seq] && !seen[i][seq]:
				t.Fatalf("%s did not get %d", c.name, seq)
			}
		}
		if info := l.info("S", c.name); info.NumPending != 0 {
			t.Errorf("%s: pending %d", c.name, info.NumPending)
		}
	}
}

// TestAConsumerChangesWhileItIsReadAhead has a consumer get another filter, and then go,
// in the middle of a long log.
func TestAConsumerChangesWhileItIsReadAhead(t *testing.T) {
	l := newLong(t, 20_000)
	c := l.push("c", "s.>")
	for range 1000 {
		c.in.Next(t)
	}
	l.consumer("S", "c", `"ack_policy":"none"`, `"filter_subject":"s.1","deliver_subject":"to.c"`)
	for last := uint64(1000); ; {
		m := c.in.Next(t)
		seq := sequenceOf(t, m)
		if seq != last+1 && (seq != last+2 || m.Subject != "s.1") {
			t.Fatalf("got %d (%s) after %d", seq, m.Subject, last)
		}
		if last = seq; last == uint64(l.n) {
			break
		}
	}
	c = l.push("d", "s.0")
	for range 1000 {
		c.in.Next(t)
	}
	l.ok("CONSUMER.DELETE.S.d", "")
	c = l.push("e", "s.0")
	for range 1000 {
		c.in.Next(t)
	}
	l.ok("STREAM.DELETE.S", "")
	l.stream("S", "s.>")
	l.stored(1, "s.1", "1")
	l.wantFetch("S", l.consumer("S", "f").Name, 1, "s.1=1")
}

// TestAPurgeEmptiesWhatIsReadAhead has all of a log go while it is delivered.
func TestAPurgeEmptiesWhatIsReadAhead(t *testing.T) {
	l := newLong(t, 20_000)
	c := l.push("c", "s.>")
	for range 1000 {
		c.in.Next(t)
	}
	l.ok("STREAM.PURGE.S", "")
	l.stored(uint64(l.n+1), "s.0", strconv.Itoa(l.n+1))
	for last := uint64(1000); last <= uint64(l.n); {
		seq := sequenceOf(t, c.in.Next(t))
		if seq != last+1 && seq != uint64(l.n+1) {
			t.Fatalf("got %d after %d", seq, last)
		}
		last = seq
	}
	if i := l.info("S", "c"); i.NumPending != 0 {
		t.Errorf("pending %d", i.NumPending)
	}
}

// TestWhatWasReadAheadWaitsForTheNextRequest has two consumers take turns, so that what
// was read ahead for one is still there when messages are deleted, or given up for the
// other one.
func TestWhatWasReadAheadWaitsForTheNextRequest(t *testing.T) {
	l := newLong(t, 20_000)
	gone := map[uint64]bool{}
	last := map[string]uint64{}
	inbox := map[string]*streamtest.Inbox{}
	for _, c := range []string{"a", "b"} {
		inbox[c] = streamtest.Subscribe(t, l.space, "to."+c)
		l.consumer("S", c, `"ack_policy":"none"`)
	}
	rnd := rand.New(rand.NewSource(1))
	for turn := range 16 {
		c := []string{"a", "a", "b", "b"}[turn%4]
		const batch = 1200
		l.space.Publish(&broker.Message{
			Subject: []byte("$JS.API.CONSUMER.MSG.NEXT.S." + c), Reply: []byte(inbox[c].Subject), Data: fmt.Appendf(nil, `{"batch":%d}`, batch),
		})
		for range batch {
			seq := sequenceOf(t, inbox[c].Next(t))
			for last[c]++; gone[last[c]]; last[c]++ {
			}
			if seq != last[c] {
				t.Fatalf("turn %d: %s got %d, want %d", turn, c, seq, last[c])
			}
		}
		for range 100 {
			seq := last[c] + 1 + uint64(rnd.Intn(2*batch))
			l.api("STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d,"no_erase":true}`, seq))
			gone[seq] = true
		}
	}
}

// TestManyLargeMessagesComeInSeveralSteps asks for more bytes than a step takes along,
// for the first time and again.
func TestManyLargeMessagesComeInSeveralSteps(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	const n = 11
	for i := range n {
		r.space.Publish(&broker.Message{Subject: []byte("s.0"), Data: []byte(strings.Repeat(string(rune('a'+i)), 1<<20))})
	}
	streamtest.Await(t, "all is stored", func() bool { return r.Streams.Find("A", "S").Partition().Committed() == n })
	r.consumer("S", "c")
	for range 2 {
		msgs := r.fetch("S", "c", n)
		for i, m := range msgs {
			if m.Data[0] != byte('a'+i) || len(m.Data) != 1<<20 {
				t.Fatalf("message %d: %d bytes of %q", i, len(m.Data), m.Data[0])
			}
			r.space.Publish(&broker.Message{Subject: []byte(m.Reply), Data: []byte("-NAK")})
		}
		if len(msgs) != n {
			t.Fatalf("%d messages, want %d", len(msgs), n)
		}
	}
}
