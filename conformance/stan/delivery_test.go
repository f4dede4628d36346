package stan_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/weirmq/weir/conformance/harness"
)

// TestWhatIsNotAcknowledgedComesAgain counts redeliveries, and takes a member's
// messages over by another one.
func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	s := start(t, "")
	c := connect(t, s.URL, "me")
	d := c.subscribe("foo", "", stan.AckWait(time.Second), stan.MaxInflight(3))
	c.put("foo", 1, 4)
	d.want(1, 3, func(i int) bool { return i == 2 })
	// The fourth has room now. The first and the third come again, twice.
	counts := map[uint64]uint32{}
	for counts[1] < 2 || counts[3] < 2 {
		m := d.next()
		switch {
		case m.Sequence == 2:
			t.Fatal("an acknowledged message comes again")
		case m.Sequence == 4 && !m.Redelivered:
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
		case m.RedeliveryCount != counts[m.Sequence]+1 || !m.Redelivered:
			t.Fatalf("message %d has the count %d after %d", m.Sequence, m.RedeliveryCount, counts[m.Sequence])
		default:
			counts[m.Sequence]++
		}
	}
	if err := d.Unsubscribe(); err != nil {
		t.Fatal(err)
	}

	a, b := c.subscribe("bar", "q", stan.AckWait(30*time.Second)), (*sub)(nil)
	c.put("bar", 1, 4)
	a.want(1, 4, none)
	b = connect(t, s.URL, "other").subscribe("bar", "q", stan.AckWait(30*time.Second))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 4; i++ {
		if m := b.next(); m.Sequence != uint64(i) || !m.Redelivered {
			t.Fatalf("message %d, redelivered %v; want %d", m.Sequence, m.Redelivered, i)
		}
	}
}

// TestAFullStoreRefusesPublishes fills the store while a channel is being made, so that
// what waits for the channel is refused, too: each publish is answered, and what is
// stored is what was acknowledged.
func TestAFullStoreRefusesPublishes(t *testing.T) {
	s := harness.Start(t, "jetstream { max_file: 300KB }\n"+block(""))
	c := connect(t, s.URL, "me")
	data := []byte(strings.Repeat("x", 8<<10))
	const messages = 200
	var mu sync.Mutex
	acked, refused := 0, map[string]int{}
	var done sync.WaitGroup
	done.Add(messages)
	for range messages {
		_, err := c.PublishAsync("foo", data, func(_ string, err error) {
			mu.Lock()
			if err == nil {
				acked++
			} else {
				refused[err.Error()]++
			}
			mu.Unlock()
			done.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	answered := make(chan struct{})
	go func() {
		done.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(patience):
		t.Fatal("not every publish is answered")
	}
	mu.Lock()
	defer mu.Unlock()
	if acked == 0 || len(refused) == 0 {
		t.Fatalf("%d are stored, refused: %v", acked, refused)
	}
	for text := range refused {
		if text != "stan: no space left for messages" {
			t.Errorf("refused with %q", text)
		}
	}
	d := c.subscribe("foo", "", stan.DeliverAllAvailable(), stan.MaxInflight(messages))
	for i := range acked {
		if m := d.next(); m.Sequence != uint64(i)+1 {
			t.Fatalf("message %d, want %d", m.Sequence, i+1)
		}
	}
	again(s, true)
	harness.Eventually(t, "the refusal holds after a restart", func() bool {
		err := c.Publish("foo", data)
		return err != nil && err.Error() == "stan: no space left for messages"
	})
}

// TestCloseEndsWhatIsDelivered holds that nothing comes behind the answer to a close,
// and that what was acknowledged before it counts.
func TestCloseEndsWhatIsDelivered(t *testing.T) {
	s := start(t, "")
	pub := connect(t, s.URL, "pub")
	c := connect(t, s.URL, "me")
	d := c.subscribe("foo", "", stan.DurableName("dur"), stan.MaxInflight(1000))
	stop, ended := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				ended <- n
				return
			default:
				n++
				if err := pub.Publish("foo", fmt.Append(nil, n)); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	next := 1
	for range 5 {
		for range 20 {
			m := d.next()
			if int(m.Sequence) != next || m.Redelivered {
				t.Fatalf("message %d (redelivered %v), want %d", m.Sequence, m.Redelivered, next)
			}
			next++
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		for len(d.c) > 0 { // came before the answer
			<-d.c
		}
		// What was delivered and not acknowledged comes first, flagged.
		d = c.subscribe("foo", "", stan.DurableName("dur"), stan.MaxInflight(1000))
		for {
			m := d.next()
			if int(m.Sequence) < next {
				t.Fatalf("message %d was acknowledged before the close", m.Sequence)
			}
			if int(m.Sequence) != next {
				t.Fatalf("message %d, want %d", m.Sequence, next)
			}
			next++
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
			if !m.Redelivered {
				break
			}
		}
	}
	close(stop)
	<-ended

	// A closed session is unknown, and its subscriptions are gone.
	plain := c.subscribe("bar", "")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish("foo", nil); !errors.Is(err, stan.ErrConnectionClosed) {
		t.Error(err)
	}
	if err := pub.Publish("bar", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if len(plain.c) > 0 {
		t.Error("a closed session gets a message")
	}
	if again := connect(t, s.URL, "me"); again.Close() != nil {
		t.Error("the id is taken")
	}
}

// TestChannelsAreStreams reads and writes a channel from the other doors.
func TestChannelsAreStreams(t *testing.T) {
	s := start(t, "capture: [\"open.>\"]")
	c := connect(t, s.URL, "me")
	d := c.subscribe("open.door", "")
	c.put("open.door", 1, 2)
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	ack, err := js.Publish(t.Context(), "open.door", []byte("3"))
	if err != nil || ack.Sequence != 3 || ack.Stream != "open%2Edoor" {
		t.Fatal(ack, err)
	}
	d.want(1, 3, all)
	st, err := js.Stream(t.Context(), "open%2Edoor")
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		m, err := st.GetMsg(t.Context(), i+1)
		if err != nil || m.Subject != "open.door" || string(m.Data) != fmt.Sprint(i+1) {
			t.Fatal(m, err)
		}
	}
}

// TestClientsStayAtTheNATSServerTheyAreAt has the streaming server beside a NATS server.
func TestClientsStayAtTheNATSServerTheyAreAt(t *testing.T) {
	beside := harness.Start(t, "authorization { user: stan, password: secret }")
	url := strings.Replace(beside.URL, "nats://", "nats://stan:secret@", 1)
	s := start(t, fmt.Sprintf("nats_server_url: %q", url))
	c := connect(t, url, "me")
	// Longer than it takes to publish what is acknowledged only then.
	d := c.subscribe("foo", "", stan.DurableName("dur"), stan.AckWait(5*time.Second))
	c.put("foo", 1, 500)
	d.want(1, 500, func(i int) bool { return i != 250 })
	if m := d.next(); m.Sequence != 250 || !m.Redelivered || m.Ack() != nil {
		t.Errorf("message %d", m.Sequence)
	}
	c.settled()

	// Either server goes and comes back: nobody has to do anything.
	beside.Kill()
	beside.Run()
	harness.Eventually(t, "the streaming server is back", func() bool { return c.Publish("foo", []byte("501")) == nil })
	m := d.next()
	if string(m.Data) != "501" || m.Ack() != nil {
		t.Errorf("message %d (%s)", m.Sequence, m.Data)
	}
	c.settled()
	again(s, true)
	harness.Eventually(t, "the streaming server is back", func() bool { return c.Publish("foo", []byte("502")) == nil })
	for m = d.next(); string(m.Data) != "502"; m = d.next() {
		if m.Sequence < 490 { // a kill costs no more than the last acknowledgements
			t.Errorf("message %d comes again", m.Sequence)
		}
	}

	// The same channel at Weir's own address.
	nc, err := nats.Connect(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := js.Stream(t.Context(), "foo"); err != nil || st.CachedInfo().State.Msgs < 502 {
		t.Fatal(st, err)
	}

	// A second server for the same cluster does not start.
	second := harness.New(t, block(fmt.Sprintf("nats_server_url: %q", url)))
	if second.RunToEnd() == 0 || !strings.Contains(second.Log(), `discovered another streaming server with cluster ID "tc"`) {
		t.Errorf("a second server:\n%s", second.Log())
	}
}
