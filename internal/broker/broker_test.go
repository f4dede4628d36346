package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/subject"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSink notes what it is given. Its stages pass on at the hand-over.
type fakeSink struct {
	mu      sync.Mutex
	got     []string // "sid subject data"
	verdict Verdict
}

func (s *fakeSink) OpenStage(*Publisher) Stage {
	return &fakeStage{sink: s}
}

func (s *fakeSink) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

type fakeStage struct {
	sink   *fakeSink
	staged []string
}

func (s *fakeStage) Add(sub *Subscription, m *Message) Verdict {
	if s.sink.verdict != Staged {
		return s.sink.verdict
	}
	if ok, _ := sub.Count(); !ok {
		return Gone
	}
	if m.Memo != nil {
		// A memo belongs to one pair of subject and subscription for ever.
		key := sub.SID + " " + string(m.Subject)
		if *m.Memo == nil {
			*m.Memo = []byte(key)
		}
		if string(*m.Memo) != key {
			panic("memo of another pair: " + string(*m.Memo) + ", want " + key)
		}
	}
	s.staged = append(s.staged, fmt.Sprintf("%s %s %s", sub.SID, m.Subject, m.Data))
	return Staged
}

func (s *fakeStage) HandOver() {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.got = append(s.sink.got, s.staged...)
	s.staged = nil
}

func sub(subj, queue, sid string, sink Sink) *Subscription {
	return &Subscription{Subject: subj, Queue: queue, SID: sid, Sink: sink}
}

func publish(p *Publisher, subj, data string) Result {
	return p.Publish(&Message{Subject: []byte(subj), Data: []byte(data)})
}

func internal(s *Space) *Publisher { return NewPublisher(s, PublisherOptions{Echo: true}) }

func TestWhatWasSubscribedBeforeIsDeliveredAndWhatWasUnsubscribedIsNot(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	sink := &fakeSink{}
	a := sub("x", "", "1", sink)
	for range 100 {
		s.Subscribe(a)
		if r := publish(p, "x", "in"); r.Clients != 1 {
			t.Fatalf("got %+v", r)
		}
		s.Unsubscribe(a)
		if r := publish(p, "x", "out"); !r.Nobody() {
			t.Fatalf("got %+v", r)
		}
	}
	p.HandOver()
	if got := sink.take(); len(got) != 100 || got[0] != "1 x in" {
		t.Errorf("got %d deliveries, %q", len(got), got[0])
	}
}

// TestDeliveriesAreThoseOfANaiveMatcher plays random subscriptions, publishes and
// cache sizes against a list that is searched from end to end.
func TestDeliveriesAreThoseOfANaiveMatcher(t *testing.T) {
	tokens := []string{"a", "b", "c", "*", ">"}
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 7))
		space := NewSpace("A", nil)
		p := NewPublisher(space, PublisherOptions{Echo: true, CacheBytes: []int{300, 2000, 1 << 20}[seed%3], Budget: NewBudget(1 << 16)})
		sinks := []*fakeSink{{}, {}, {}}
		var live []*Subscription
		next := 0
		for range 600 {
			if rng.IntN(10) == 0 {
				if len(live) > 0 && rng.IntN(2) == 0 {
					i := rng.IntN(len(live))
					space.Unsubscribe(live[i])
					live = slices.Delete(live, i, i+1)
				} else if pattern := randomSubject(rng, tokens); subject.ValidPattern(pattern) {
					next++
					n := sub(pattern, []string{"", "", "q1", "q2"}[rng.IntN(4)], fmt.Sprint(next), sinks[rng.IntN(3)])
					space.Subscribe(n)
					live = append(live, n)
				}
				continue
			}
			subj := randomSubject(rng, tokens[:3])
			if rng.IntN(20) == 0 {
				subj += []string{".", "..a", ".a.b.a.b.a.b.a"}[rng.IntN(3)]
			}
			r := publish(p, subj, "m")
			p.HandOver()
			var got []string
			for _, s := range sinks {
				got = append(got, s.take()...)
			}
			if msg := compareWithNaive(live, subj, got); msg != "" || r.Clients != len(got) {
				t.Fatalf("seed %d: publish to %q: %s; %d deliveries, result %+v", seed, subj, msg, len(got), r)
			}
		}
		p.Release()
		if used := p.cache.budget.used.Load(); used != 0 {
			t.Fatalf("seed %d: %d bytes of the budget are still used", seed, used)
		}
	}
}

func randomSubject(rng *rand.Rand, tokens []string) string {
	parts := make([]string, 1+rng.IntN(4))
	for i := range parts {
		parts[i] = tokens[rng.IntN(len(tokens))]
	}
	return strings.Join(parts, ".")
}

// compareWithNaive says what is wrong with deliveries of a message.
func compareWithNaive(live []*Subscription, subj string, got []string) string {
	plain := map[string]bool{}
	queues := map[string]string{} // SID to queue
	groups := map[string]bool{}
	for _, s := range live {
		if !subject.Match(s.Subject, subj) {
			continue
		}
		if s.Queue == "" {
			plain[s.SID] = true
			continue
		}
		queues[s.SID] = s.Queue
		groups[s.Queue] = true
	}
	for _, g := range got {
		sid, _, _ := strings.Cut(g, " ")
		switch {
		case plain[sid]:
			delete(plain, sid)
		case groups[queues[sid]]:
			delete(groups, queues[sid])
		default:
			return fmt.Sprintf("%q was delivered", g)
		}
	}
	if len(plain) > 0 || len(groups) > 0 {
		return fmt.Sprintf("%v and one of each of %v were not delivered", plain, groups)
	}
	return ""
}

func TestAQueueGroupTriesItsNextMember(t *testing.T) {
	s := NewSpace("A", nil)
	self, closed, open := &fakeSink{}, &fakeSink{verdict: Gone}, &fakeSink{}
	p := NewPublisher(s, PublisherOptions{Origin: self})
	for i, k := range []Sink{self, closed, open} {
		s.Subscribe(sub("x", "q", fmt.Sprint(i), k))
	}
	for range 50 {
		if r := publish(p, "x", "m"); r.Clients != 1 {
			t.Fatalf("got %+v", r)
		}
	}
	p.HandOver()
	if len(open.take()) != 50 || len(self.take()) != 0 {
		t.Error("deliveries went elsewhere")
	}
}

func TestQueueMembersAreChosenUniformly(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	const members, n = 7, 70_000
	sinks := make([]*fakeSink, members)
	for i := range sinks {
		sinks[i] = &fakeSink{}
		s.Subscribe(sub("x", "q", "1", sinks[i]))
	}
	for range n {
		publish(p, "x", "m")
	}
	p.HandOver()
	for i, k := range sinks {
		if got := len(k.take()); got < n/members*95/100 || got > n/members*105/100 {
			t.Errorf("member %d got %d of %d", i, got, n)
		}
	}
}

func TestMessagesOfOnePublisherKeepTheirOrder(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	sink := &fakeSink{}
	s.Subscribe(sub("a", "", "1", sink))
	s.Subscribe(sub("b.*", "", "2", sink))
	s.Subscribe(sub(">", "q", "3", sink))
	var want []string
	for i := range 1000 {
		subj, sid := "a", "1"
		if i%3 == 0 {
			subj, sid = fmt.Sprintf("b.%d", i), "2"
		}
		data := fmt.Sprint(i)
		publish(p, subj, data)
		want = append(want, sid+" "+subj+" "+data, "3 "+subj+" "+data)
		if i%10 == 0 {
			p.HandOver()
		}
	}
	p.HandOver()
	if got := sink.take(); !slices.Equal(got, want) {
		t.Error("the order differs")
	}
}

func TestTheCountEndsASubscriptionExactly(t *testing.T) {
	s := NewSpace("A", nil)
	sink := &fakeSink{}
	x := sub("x", "", "1", sink)
	s.Subscribe(x)
	x.Limit(500)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p := internal(s)
			for range 500 {
				publish(p, "x", "m")
			}
			p.HandOver()
		}()
	}
	wg.Wait()
	if got := len(sink.take()); got != 500 || x.Delivered() != 500 {
		t.Errorf("%d deliveries, count %d", got, x.Delivered())
	}
	if !x.Limit(400) || x.Limit(5000) {
		t.Error("a limit below the count is reached, one above is not")
	}
}

// judge denies what starts with "no"; subjects that start with "maybe" are
// allowed every second time.
type judge struct{ asked, odd int }

func (j *judge) MayPublish(s []byte) (allowed, fixed bool) {
	j.asked++
	switch {
	case strings.HasPrefix(string(s), "no"):
		return false, true
	case strings.HasPrefix(string(s), "maybe"):
		j.odd++
		return j.odd%2 == 1, false
	}
	return true, true
}

func TestPermissionsAreAskedOncePerSubjectUnlessTheyMayChange(t *testing.T) {
	s := NewSpace("A", nil)
	sink := &fakeSink{}
	for _, subj := range []string{"no", "yes", "maybe"} {
		s.Subscribe(sub(subj, "", "1", sink))
	}
	j := &judge{}
	p := NewPublisher(s, PublisherOptions{Echo: true, Permissions: j})
	count := map[string]int{}
	for range 10 {
		for _, subj := range []string{"no", "yes", "maybe"} {
			if r := publish(p, subj, "m"); !r.Denied {
				count[subj]++
			} else if r.Clients > 0 {
				t.Error("denied and delivered")
			}
		}
	}
	if count["no"] != 0 || count["yes"] != 10 || count["maybe"] != 5 {
		t.Errorf("delivered %v", count)
	}
	if j.asked != 1+1+10 {
		t.Errorf("asked %d times", j.asked)
	}
}

func TestSendIsPublishForASubjectAndData(t *testing.T) {
	s := NewSpace("A", nil)
	var sinks [2]*fakeSink
	for i := range sinks {
		sinks[i] = &fakeSink{}
	}
	for _, subj := range []string{"no", "yes", "yes.*"} {
		for i := range sinks {
			s.Subscribe(sub(fmt.Sprint(subj, i), "", "1", sinks[i]))
		}
	}
	p := NewPublisher(s, PublisherOptions{Echo: true, Permissions: &judge{}})
	// What was published before has left nothing in what is sent.
	p.Publish(&Message{Subject: []byte("yes0"), Reply: []byte("r"), Header: []byte("h"), Tail: []byte("t"), To: []byte("yes1"), Stable: true})
	for _, subj := range []string{"no", "yes", "nobody"} {
		publish(p, subj+"0", "m")
		p.Send([]byte(subj+"1"), []byte("m"))
	}
	if cur := p.Draft(); cur.Reply != nil || cur.Header != nil || cur.Tail != nil || cur.To != nil || cur.Stable {
		t.Errorf("sent: %+v", cur)
	}
	p.HandOver()
	if a, b := sinks[0].take(), sinks[1].take(); !slices.Equal(a, []string{"1 yes0 m"}) || !slices.Equal(b, []string{"1 yes0 ", "1 yes1 m"}) {
		t.Errorf("published %q, sent %q", a, b)
	}
}

func TestAFullSinkIsOfferedTheMessageAgainAndTheOthersAreNot(t *testing.T) {
	s := NewSpace("A", nil)
	client, stream := &fakeSink{}, &fakeSink{verdict: Full}
	s.Subscribe(sub("x", "", "1", client))
	x := sub("x", "", "2", stream)
	x.Kind = KindStream
	s.Subscribe(x)
	p := internal(s)
	m := &Message{Subject: []byte("x"), Data: []byte("m")}
	if r := p.Publish(m); !r.Full || r.Clients != 1 || r.Streams != 0 || r.Nobody() {
		t.Fatalf("got %+v", r)
	}
	p.HandOver()
	if p.Again(m) {
		t.Error("still full, and yet taken")
	}
	stream.verdict = Staged
	if !p.Again(m) {
		t.Error("not taken")
	}
	p.HandOver()
	if a, b := client.take(), stream.take(); len(a) != 1 || len(b) != 1 {
		t.Errorf("deliveries %q and %q", a, b)
	}
}

func TestAMessageMayBeRoutedToWhereItDoesNotShow(t *testing.T) {
	s := NewSpace("A", nil)
	sink := &fakeSink{}
	s.Subscribe(sub("inbox.1", "", "1", sink))
	p := internal(s)
	for _, shown := range []string{"orders.1", "orders.2"} {
		p.Publish(&Message{Subject: []byte(shown), To: []byte("inbox.1"), Data: []byte("m")})
	}
	p.HandOver()
	if got := sink.take(); !slices.Equal(got, []string{"1 orders.1 m", "1 orders.2 m"}) {
		t.Errorf("got %q", got)
	}
}

func TestAPublisherForgetsSinksThatAreGone(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	for i := range 2000 {
		x := sub(fmt.Sprintf("x.%d", i), "", "1", &fakeSink{})
		s.Subscribe(x)
		publish(p, x.Subject, "m")
		p.HandOver()
		s.Unsubscribe(x)
	}
	if len(p.dests) > 300 {
		t.Errorf("%d sinks are remembered", len(p.dests))
	}
}

func TestTheCacheStaysWithinItsBytes(t *testing.T) {
	s := NewSpace("A", nil)
	budget := NewBudget(30_000)
	for i := range 1000 {
		s.Subscribe(sub(fmt.Sprintf("x.%d", i), "", "1", &fakeSink{}))
	}
	p := NewPublisher(s, PublisherOptions{Echo: true, CacheBytes: 20_000, Budget: budget})
	q := NewPublisher(s, PublisherOptions{Echo: true, CacheBytes: 20_000, Budget: budget})
	for i := range 20_000 {
		publish(p, fmt.Sprintf("x.%d", i%1000), "m")
		publish(q, fmt.Sprintf("x.%d", i*7%1000), "m")
	}
	if p.cache.used > 20_000 || q.cache.used > 20_000 || budget.used.Load() > 30_000 {
		t.Errorf("%d and %d bytes, %d together", p.cache.used, q.cache.used, budget.used.Load())
	}
	if len(p.cache.kept[bySubject]) == 0 {
		t.Error("the cache is empty")
	}
	p.Release()
	q.Release()
	if n := budget.used.Load(); n != 0 {
		t.Errorf("%d bytes still used", n)
	}
}

func TestInboxesStayOutOfTheExactCache(t *testing.T) {
	s := NewSpace("A", nil)
	s.Subscribe(sub("_INBOX.a.*", "", "1", &fakeSink{}))
	p := internal(s)
	for i := range 1000 {
		if r := publish(p, fmt.Sprintf("_INBOX.a.%d", i), "m"); r.Clients != 1 {
			t.Fatalf("got %+v", r)
		}
	}
	if len(p.cache.kept[bySubject]) != 0 || len(p.cache.kept[byPrefix]) != 1 {
		t.Errorf("%d exact, %d prefixes", len(p.cache.kept[bySubject]), len(p.cache.kept[byPrefix]))
	}
}

func TestAcknowledgementsShareAnEntry(t *testing.T) {
	s := NewSpace("A", nil)
	s.Subscribe(sub("$JS.ACK.>", "", "1", &fakeSink{}))
	s.Subscribe(sub("$JS.API.>", "", "2", &fakeSink{}))
	s.Subscribe(sub("a.b", "", "3", &fakeSink{}))
	p := internal(s)
	for i := range 1000 {
		if r := publish(p, fmt.Sprintf("$JS.ACK.S.c.1.%d.%d", i, i), "+ACK"); r.Clients != 1 {
			t.Fatalf("got %+v", r)
		}
	}
	for subj, want := range map[string]int{"$JS.ACK": 0, "$JS.ACK.": 0, "$JS.ACK.x": 1, "$JS.ACK..x": 0, "$JS.ACK.x..y": 0, "$JS.ACK.x.": 0, "$JS.ACKS.x.y": 0} {
		if r := publish(p, subj, "m"); r.Clients != want {
			t.Errorf("%q has %d receivers, want %d", subj, r.Clients, want)
		}
	}
	if len(p.cache.kept[byStart]) != 2 { // $JS.ACK. and $JS.ACKS.
		t.Errorf("%d starts", len(p.cache.kept[byStart]))
	}
	p.HandOver()
}

func TestStagedBytesAreHandedOverAtTheCap(t *testing.T) {
	s := NewSpace("A", nil)
	sink := &fakeSink{}
	s.Subscribe(sub("x", "", "1", sink))
	p := internal(s)
	for range stagedCap / 1000 {
		publish(p, "x", strings.Repeat("x", 1000))
	}
	if len(sink.take()) == 0 {
		t.Error("nothing was handed over")
	}
	p.HandOver()
}

func TestRebindMovesToAnotherSpace(t *testing.T) {
	a, b := NewSpace("A", nil), NewSpace("B", nil)
	inA, inB := &fakeSink{}, &fakeSink{}
	a.Subscribe(sub("x", "", "1", inA))
	b.Subscribe(sub("x", "", "1", inB))
	p := internal(a)
	publish(p, "x", "1")
	p.Rebind(b, PublisherOptions{Echo: true})
	publish(p, "x", "2")
	p.HandOver()
	if x, y := inA.take(), inB.take(); !slices.Equal(x, []string{"1 x 1"}) || !slices.Equal(y, []string{"1 x 2"}) {
		t.Errorf("got %q and %q", x, y)
	}
	if p.Space() != b {
		t.Error("the space is another")
	}
}

func TestInterestIsThatOfClients(t *testing.T) {
	s := NewSpace("A", nil)
	stream := sub("a.>", "", "", &fakeSink{})
	stream.Kind = KindStream
	s.Subscribe(stream)
	s.Subscribe(sub("a.q", "g", "1", &fakeSink{}))
	s.Subscribe(sub("a.p", "", "1", &fakeSink{}))
	for _, k := range []struct {
		subj, queue string
		want        bool
	}{{"a.x", "", false}, {"a.q", "", true}, {"a.p", "", true}, {"a.q", "g", true}, {"a.q", "h", false}, {"a.p", "g", false}} {
		got := s.Interested([]byte(k.subj))
		if k.queue != "" {
			got = s.InterestedQueue([]byte(k.subj), k.queue)
		}
		if got != k.want {
			t.Errorf("%+v: got %v", k, got)
		}
	}
}

func TestSpacesAreMadeOnceForAName(t *testing.T) {
	r := NewSpaces(nil)
	a := r.Get("A")
	if r.Get("A") != a || r.Get("B") == a || a.Name() != "A" {
		t.Error("names and spaces do not go together")
	}
	if len(r.All()) != 2 {
		t.Errorf("%d spaces", len(r.All()))
	}
}

func TestPublishingAllocatesNothing(t *testing.T) {
	s := NewSpace("A", nil)
	sink := &countSink{}
	s.Subscribe(sub("x.y", "", "1", sink))
	s.Subscribe(sub("x.*", "q", "2", sink))
	s.Subscribe(sub("i.*", "", "3", sink))
	p := internal(s)
	subjects := [][]byte{[]byte("x.y"), []byte("x.z"), []byte("none"), []byte("i.1"), []byte("i.2")}
	if n := testing.AllocsPerRun(200, func() {
		for _, subj := range subjects {
			p.Publish(&Message{Subject: subj, Reply: subj, Data: subj})
		}
		p.HandOver()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

type countSink struct{ n int }

func (s *countSink) OpenStage(*Publisher) Stage          { return s }
func (s *countSink) Add(*Subscription, *Message) Verdict { s.n++; return Staged }
func (s *countSink) HandOver()                           {}

const patience = 5 * time.Second
