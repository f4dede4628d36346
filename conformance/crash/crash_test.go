package crash_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

// number reads a whole number from the environment.
func number(t *testing.T, name string, fallback uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// dice is the random source of a test; a failure is tried again with WEIR_SEED.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := number(t, "WEIR_SEED", uint64(time.Now().UnixNano()))
	t.Logf("WEIR_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

func TestNothingAcknowledgedIsLostAcrossKills(t *testing.T) {
	survives(t, harness.Start(t, ""), int(number(t, "WEIR_KILLS", 20)), 15*time.Millisecond, func(int) {})
}

// The same where all that is stored is encrypted and compressed, and the key is
// changed now and then while the server is dead.
func TestNothingAcknowledgedIsLostAcrossKillsAndChangesOfTheKey(t *testing.T) {
	s := harness.New(t, "")
	configure := func(generation int) {
		previous := ""
		if generation > 0 {
			previous = fmt.Sprintf("prev_encryption_key: %q", fmt.Sprint("key", generation-1))
		}
		s.Configure(fmt.Sprintf("jetstream { store_dir: %q, cipher: aes, key: %q, compression: s2, %s }",
			filepath.Join(s.Dir, "store"), fmt.Sprint("key", generation), previous))
	}
	configure(0)
	s.Run()
	// Making a key takes longer than all else of a start.
	survives(t, s, int(number(t, "WEIR_KILLS", 20))/4, 300*time.Millisecond, func(kill int) { configure(kill / 2) })
}

// survives kills a server that is published to, now and then again within start
// after it was started, and says what is missing. before is called each time that
// it is dead.
func survives(t *testing.T, s *harness.Server, kills int, start time.Duration, before func(kill int)) {
	t.Helper()
	random := dice(t)
	makeStream(t, s)

	var progress atomic.Int64
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute+time.Duration(kills)*2*time.Second)
	defer cancel()
	stop := make(chan struct{})
	publishers := make([]*publisher, 4)
	var running sync.WaitGroup
	for i := range publishers {
		p := &publisher{name: fmt.Sprintf("p%d", i), url: s.URL, acked: map[int]uint64{}, progress: &progress}
		publishers[i] = p
		running.Go(func() { p.run(ctx, stop) })
	}
	for kill := range kills {
		done := progress.Load()
		harness.Eventually(t, "records are acknowledged", func() bool { return progress.Load() > done })
		<-time.After(time.Duration(random.IntN(60_000)) * time.Microsecond) // the moment of the kill
		s.Kill()
		before(kill)
		if random.IntN(5) == 0 { // again, while it recovers
			s.RunCut(time.Duration(random.Int64N(int64(start))))
		}
		s.Run()
	}
	close(stop)
	running.Wait()
	if ctx.Err() != nil {
		t.Fatal("the publishers did not finish")
	}
	for _, p := range publishers {
		if p.fault != nil {
			t.Error(p.fault)
		}
	}
	verify(t, s, publishers)
}

func makeStream(t *testing.T, s *harness.Server) {
	t.Helper()
	nc := s.Connect()
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "CRASH", Subjects: []string{"k.>"}, Duplicates: 15 * time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
}

// stored is what the stream has of one publisher: record numbers by ascending sequence.
type stored struct {
	numbers   []int
	sequences map[int]uint64
}

// verify reads the stream and compares it with what the publishers know.
func verify(t *testing.T, s *harness.Server, publishers []*publisher) {
	t.Helper()
	have, last := readAll(t, s)
	total := 0
	for _, p := range publishers {
		h := have[p.name]
		if h == nil {
			t.Errorf("%s: nothing is stored", p.name)
			continue
		}
		total += len(h.numbers)
		if len(h.sequences) != len(h.numbers) {
			t.Errorf("%s: %d records are stored %d times", p.name, len(h.sequences), len(h.numbers))
		}
		for n, seq := range p.acked {
			if h.sequences[n] != seq {
				t.Errorf("%s: record %d was acknowledged with sequence %d and stands at %d (0: lost)", p.name, n, seq, h.sequences[n])
			}
		}
		for i, n := range h.numbers {
			if n != i {
				t.Errorf("%s: record %d stands where %d is due", p.name, n, i)
				break
			}
		}
		if len(h.numbers) != p.next || len(p.acked) != p.next {
			t.Errorf("%s: %d records were sent, %d acknowledged, %d are stored", p.name, p.next, len(p.acked), len(h.numbers))
		}
	}
	t.Logf("%d records stored, last sequence %d", total, last)
	if uint64(total) != last {
		t.Errorf("%d records up to sequence %d: others are in the stream", total, last)
	}
}

// readAll reads the whole stream; its sequences must have no gap.
func readAll(t *testing.T, s *harness.Server) (map[string]*stored, uint64) {
	t.Helper()
	nc := s.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "CRASH")
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	if state.FirstSeq != 1 || state.Msgs != state.LastSeq || state.NumDeleted != 0 {
		t.Errorf("the stream has gaps: %+v", state)
	}
	c, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	it, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Stop()
	have := map[string]*stored{}
	for want := uint64(1); want <= state.LastSeq; want++ {
		m, err := it.Next(jetstream.NextMaxWait(30 * time.Second))
		if err != nil {
			t.Fatalf("read sequence %d of %d: %v", want, state.LastSeq, err)
		}
		md, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if md.Sequence.Stream != want {
			t.Fatalf("sequence %d comes where %d is due", md.Sequence.Stream, want)
		}
		keep(t, have, m, want)
	}
	return have, state.LastSeq
}

func keep(t *testing.T, have map[string]*stored, m jetstream.Msg, seq uint64) {
	t.Helper()
	id := m.Headers().Get(jetstream.MsgIDHeader)
	name, digits, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatalf("sequence %d has identifier %q", seq, id)
	}
	p := publisher{name: name}
	if m.Subject() != p.subject(n) || string(m.Data()) != string(p.body(n)) {
		t.Errorf("sequence %d: record %s has been changed: %s %.40q", seq, id, m.Subject(), m.Data())
	}
	h := have[name]
	if h == nil {
		h = &stored{sequences: map[int]uint64{}}
		have[name] = h
	}
	h.numbers = append(h.numbers, n)
	if _, twice := h.sequences[n]; !twice {
		h.sequences[n] = seq
	}
}

func TestConfirmedAcksAreNotLostAcrossKills(t *testing.T) {
	if harness.Peer() {
		t.Skip("only Weir promises this")
	}
	kills := int(number(t, "WEIR_KILLS", 20))/4 + 1
	random := dice(t)
	s := harness.Start(t, "")
	makeStream(t, s)
	const most = 220 // acknowledgements in a round
	fill(t, s, max(20000, most*(kills+1)))
	confirmed := map[uint64]bool{}
	for range kills {
		// Each round confirms some, leaves some, and is cut off in the middle.
		due := 20 + random.IntN(most-20)
		work(t, s, confirmed, due)
		s.Kill()
		s.Run()
	}
	work(t, s, confirmed, 100)
	t.Logf("%d acknowledgements were confirmed", len(confirmed))
}

func fill(t *testing.T, s *harness.Server, n int) {
	t.Helper()
	nc := s.Connect()
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := js.PublishAsync("k.x", []byte(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		t.Fatal("the records were not stored")
	}
	if _, err := js.CreateConsumer(t.Context(), "CRASH", jetstream.ConsumerConfig{
		Durable: "C", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 200 * time.Millisecond, MaxAckPending: 500,
	}); err != nil {
		t.Fatal(err)
	}
}

// work confirms due messages, none of which may have been confirmed before.
func work(t *testing.T, s *harness.Server, confirmed map[uint64]bool, due int) {
	t.Helper()
	nc := s.Connect()
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.Consumer(t.Context(), "CRASH", "C")
	if err != nil {
		t.Fatal(err)
	}
	patience := time.Now().Add(time.Minute)
	for done := 0; done < due; {
		if time.Now().After(patience) {
			t.Fatalf("%d of %d messages came in a minute", done, due)
		}
		batch, err := c.Fetch(50, jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			md, err := m.Metadata()
			if err != nil {
				t.Fatal(err)
			}
			seq := md.Sequence.Stream
			if confirmed[seq] {
				t.Fatalf("sequence %d comes again after its acknowledgement was confirmed", seq)
			}
			if seq%7 == 0 && md.NumDelivered == 1 {
				continue // left for later
			}
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatalf("acknowledge: %v", err)
			}
			confirmed[seq] = true
			done++
		}
	}
}
