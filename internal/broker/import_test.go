package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/subject"
)

func mapping(t *testing.T, theirs, ours string) *subject.Mapping {
	t.Helper()
	m, err := subject.ParseMapping(theirs, ours)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAnImportedStreamComesUnderItsLocalName(t *testing.T) {
	a, b := NewSpace("A", nil), NewSpace("B", nil)
	early, late := &fakeSink{}, &fakeSink{}
	b.Subscribe(sub("imp.>", "", "1", early))
	b.ImportStreams([]StreamImport{{From: a, Mapping: mapping(t, "ev.>", "imp.ev.>")}})
	exact := sub("imp.ev.x", "", "2", late)
	b.Subscribe(exact)
	b.Subscribe(sub("ev.>", "", "3", late)) // the exporter's name means nothing here
	p := internal(a)
	if r := publish(p, "ev.x", "1"); r.Clients != 2 {
		t.Fatalf("got %+v", r)
	}
	publish(p, "other", "2")
	b.Unsubscribe(exact)
	publish(p, "ev.x", "3")
	p.HandOver()
	if got := early.take(); !slices.Equal(got, []string{"1 imp.ev.x 1", "1 imp.ev.x 3"}) {
		t.Errorf("got %q", got)
	}
	if got := late.take(); !slices.Equal(got, []string{"2 imp.ev.x 1"}) {
		t.Errorf("got %q", got)
	}
	if n := a.Subscriptions(); n != 1 {
		t.Errorf("%d subscriptions stand in the exporter's space", n)
	}
	b.ImportStreams(nil)
	if r := publish(p, "ev.x", "4"); !r.Nobody() || a.Subscriptions() != 0 {
		t.Errorf("an import that ended delivers: %+v", r)
	}
}

func TestAQueueGroupReachesAcrossAccounts(t *testing.T) {
	a, b := NewSpace("A", nil), NewSpace("B", nil)
	b.ImportStreams([]StreamImport{{From: a, Mapping: mapping(t, "ev.*", "imp.$1")}})
	here, there := &fakeSink{}, &fakeSink{}
	a.Subscribe(sub("ev.x", "q", "a", here))
	b.Subscribe(sub("imp.*", "q", "b", there))
	p := internal(a)
	for range 200 {
		if r := publish(p, "ev.x", ""); r.Clients != 1 {
			t.Fatalf("got %+v", r)
		}
	}
	p.HandOver()
	x, y := len(here.take()), len(there.take())
	if x+y != 200 || x < 20 || y < 20 {
		t.Errorf("%d went to the exporter's member, %d to the importer's", x, y)
	}
}

func TestStreamImportsPassOnAlongAChain(t *testing.T) {
	a, b, c := NewSpace("A", nil), NewSpace("B", nil), NewSpace("C", nil)
	sink := &fakeSink{}
	c.Subscribe(sub("c.*", "", "1", sink))
	c.ImportStreams([]StreamImport{{From: b, Mapping: mapping(t, "b.*", "c.$1")}})
	b.ImportStreams([]StreamImport{{From: a, Mapping: mapping(t, "a.*", "b.$1")}})
	p := internal(a)
	publish(p, "a.x", "hi")
	p.HandOver()
	if got := sink.take(); !slices.Equal(got, []string{"1 c.x hi"}) {
		t.Errorf("got %q", got)
	}
	b.ImportStreams(nil)
	if r := publish(p, "a.x", ""); !r.Nobody() {
		t.Errorf("got %+v", r)
	}
}

func TestAStreamImportKeepsTheLimitOfASubscription(t *testing.T) {
	a, b := NewSpace("A", nil), NewSpace("B", nil)
	b.ImportStreams([]StreamImport{{From: a, Mapping: mapping(t, "x", "")}})
	sink := &fakeSink{}
	s := sub("x", "", "1", sink)
	s.Limit(2)
	b.Subscribe(s)
	pa, pb := internal(a), internal(b)
	publish(pa, "x", "1")
	publish(pb, "x", "2")
	publish(pa, "x", "3")
	pa.HandOver()
	pb.HandOver()
	if got := sink.take(); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

// TestSubscribingWhileImportsChangeLeavesNothing has subscriptions come and go while
// imports do. What remains is what the last imports say.
func TestSubscribingWhileImportsChangeLeavesNothing(t *testing.T) {
	a, b := NewSpace("A", nil), NewSpace("B", nil)
	imports := []StreamImport{{From: a, Mapping: mapping(t, "x.>", "")}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var left []*Subscription
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 300 {
				s := sub(fmt.Sprintf("x.%d", i%7), "", "1", &fakeSink{})
				b.Subscribe(s)
				if rng.IntN(4) == 0 {
					mu.Lock()
					left = append(left, s)
					mu.Unlock()
					continue
				}
				b.Unsubscribe(s)
			}
		})
	}
	for i := range 60 {
		if i%2 == 0 {
			b.ImportStreams(imports)
		} else {
			b.ImportStreams(nil)
		}
	}
	b.ImportStreams(imports)
	wg.Wait()
	if n := a.Subscriptions(); n != len(left) {
		t.Errorf("%d subscriptions stand for %d", n, len(left))
	}
	for _, s := range left {
		b.Unsubscribe(s)
	}
	if n := a.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions stand for none", n)
	}
}

// requestRig is an importer with a service of an exporter.
type requestRig struct {
	here, there *Space
	caller      *fakeSink
	service     *replySink
	publisher   *Publisher
	stop        func()
}

// replySink notes the requests of a service.
type replySink struct {
	mu       sync.Mutex
	requests []Message
	verdict  Verdict
}

func (s *replySink) OpenStage(*Publisher) Stage { return &replyStage{s} }

type replyStage struct{ sink *replySink }

func (s *replyStage) Add(_ *Subscription, m *Message) Verdict {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	if s.sink.verdict == Staged {
		c := *m
		c.Subject, c.Reply, c.Header, c.Data = slices.Clone(m.Subject), slices.Clone(m.Reply), slices.Clone(m.Header), slices.Clone(m.Data)
		s.sink.requests = append(s.sink.requests, c)
	}
	return s.sink.verdict
}

func (s *replyStage) HandOver() {}

func newRequestRig(t *testing.T, change func(*ServiceImport)) *requestRig {
	r := &requestRig{here: NewSpace("B", nil), there: NewSpace("A", nil), caller: &fakeSink{}, service: &replySink{}}
	i := ServiceImport{From: r.there, Mapping: mapping(t, "svc.*", "my.$1")}
	if change != nil {
		change(&i)
	}
	r.stop = r.here.ImportService(i)
	r.there.Subscribe(sub("svc.*", "", "s", r.service))
	r.here.Subscribe(sub("in.*", "", "c", r.caller))
	r.publisher = NewPublisher(r.here, PublisherOptions{Echo: true, Origin: r.caller})
	return r
}

// request sends one and gives the message that the service saw.
func (r *requestRig) request(t *testing.T, reply string) Message {
	t.Helper()
	if got := r.publisher.Publish(&Message{Subject: []byte("my.x"), Reply: []byte(reply), Data: []byte("hi")}); got.Services != 1 {
		t.Fatalf("a request gives %+v", got)
	}
	r.publisher.HandOver()
	r.service.mu.Lock()
	defer r.service.mu.Unlock()
	return r.service.requests[len(r.service.requests)-1]
}

func (r *requestRig) answer(reply []byte, data string) Result {
	return r.there.Publish(&Message{Subject: reply, Data: []byte(data)})
}

func TestARequestGoesToTheExporterAndItsAnswerComesBackOnce(t *testing.T) {
	r := newRequestRig(t, nil)
	m := r.request(t, "in.1")
	if string(m.Subject) != "svc.x" || string(m.Data) != "hi" || !strings.HasPrefix(string(m.Reply), "_R_.") || strings.Count(string(m.Reply), ".") != 2 {
		t.Fatalf("the service sees %s %s %s", m.Subject, m.Reply, m.Data)
	}
	if got := r.answer(m.Reply, "one"); got.Clients != 1 {
		t.Errorf("the answer gives %+v", got)
	}
	if got := r.answer(m.Reply, "two"); !got.Nobody() {
		t.Errorf("a second answer gives %+v", got)
	}
	if got := r.caller.take(); !slices.Equal(got, []string{"c in.1 one"}) {
		t.Errorf("the caller got %q", got)
	}
	r.stop()
	if got := r.publisher.Publish(&Message{Subject: []byte("my.x")}); !got.Nobody() || r.there.Subscriptions() != 1 {
		t.Errorf("an import that ended gives %+v, %d subscriptions", got, r.there.Subscriptions())
	}
}

func TestNobodyBehindAnImportIsNobody(t *testing.T) {
	r := newRequestRig(t, nil)
	r.service.verdict = Gone
	for range 3 {
		got := r.publisher.Publish(&Message{Subject: []byte("my.x"), Reply: []byte("in.1")})
		if !got.Nobody() {
			t.Errorf("got %+v", got)
		}
	}
	defer r.here.ImportService(ServiceImport{From: NewSpace("C", nil), Mapping: mapping(t, "gone", "")})()
	if got := r.publisher.Publish(&Message{Subject: []byte("gone"), Reply: []byte("in.1")}); !got.Nobody() {
		t.Errorf("got %+v", got)
	}
	if n := len(r.bridge().asked); n != 0 {
		t.Errorf("%d requests wait for an answer", n)
	}
}

// bridge is the rig's import.
func (r *requestRig) bridge() *bridge {
	return r.here.Match([]byte("my.x")).Plain[0].Sink.(*requestSink).bridge
}

func TestStreamsOfAnswersEndWithTheInterest(t *testing.T) {
	r := newRequestRig(t, func(i *ServiceImport) { i.Response = account.Streamed })
	m := r.request(t, "in.1")
	if again := r.request(t, "in.1"); string(again.Reply) != string(m.Reply) {
		t.Errorf("one reply subject has two names: %s and %s", m.Reply, again.Reply)
	}
	for i := range 5 {
		if got := r.answer(m.Reply, fmt.Sprint(i)); got.Clients != 1 {
			t.Fatalf("answer %d gives %+v", i, got)
		}
	}
	if got := r.caller.take(); len(got) != 5 {
		t.Errorf("the caller got %q", got)
	}
	if !r.there.Interested(m.Reply) {
		t.Error("nobody is said to listen to the answers")
	}
	r.here.Unsubscribe(r.here.Match([]byte("in.1")).Plain[0])
	if r.there.Interested(m.Reply) {
		t.Error("somebody is said to listen to the answers")
	}
	if got := r.answer(m.Reply, ""); !got.Nobody() || len(r.bridge().asked) != 0 {
		t.Errorf("an answer to nobody gives %+v, %d wait", got, len(r.bridge().asked))
	}
}

func TestChunksEndWithAnEmptyOne(t *testing.T) {
	r := newRequestRig(t, func(i *ServiceImport) { i.Response = account.Chunked })
	m := r.request(t, "in.1")
	for _, data := range []string{"a", "b", "", "c"} {
		r.answer(m.Reply, data)
	}
	if got := r.caller.take(); !slices.Equal(got, []string{"c in.1 a", "c in.1 b", "c in.1 "}) {
		t.Errorf("the caller got %q", got)
	}
}

func TestRequestsThatNobodyAnswersAreForgotten(t *testing.T) {
	for response, left := range map[account.Response]int{account.Singleton: 0, account.Chunked: 0, account.Streamed: 1} {
		r := newRequestRig(t, func(i *ServiceImport) { i.Response, i.Threshold = response, time.Minute })
		r.request(t, "in.1")
		r.request(t, "nobody.there")
		b := r.bridge()
		now := time.Now()
		for i := range 20 {
			b.sweep(now.Add(time.Duration(i) * 2 * time.Minute))
		}
		if n := len(b.asked); n != left || b.age.Len() != left || response == account.Streamed && len(b.replies) != left {
			t.Errorf("response %d: %d requests wait for answers, want %d", response, n, left)
		}
	}
}

func TestALateAnswerIsNotDelivered(t *testing.T) {
	r := newRequestRig(t, nil)
	m := r.request(t, "in.1")
	r.bridge().Threshold = 0
	if got := r.answer(m.Reply, "late"); !got.Nobody() || len(r.caller.take()) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestServiceImportsPassOnAlongAChain(t *testing.T) {
	a, b, c := NewSpace("A", nil), NewSpace("B", nil), NewSpace("C", nil)
	defer b.ImportService(ServiceImport{From: a, Mapping: mapping(t, "a.*", "b.$1")})()
	defer c.ImportService(ServiceImport{From: b, Mapping: mapping(t, "b.*", "c.$1")})()
	service, caller := &replySink{}, &fakeSink{}
	a.Subscribe(sub("a.x", "", "s", service))
	c.Subscribe(sub("in", "", "c", caller))
	p := NewPublisher(c, PublisherOptions{Echo: true, Origin: caller})
	if r := p.Publish(&Message{Subject: []byte("c.x"), Reply: []byte("in")}); r.Services != 1 {
		t.Fatalf("got %+v", r)
	}
	p.HandOver()
	if got := a.Publish(&Message{Subject: service.requests[0].Reply, Data: []byte("ok")}); got.Clients != 1 {
		t.Fatalf("got %+v", got)
	}
	if got := caller.take(); !slices.Equal(got, []string{"c in ok"}) {
		t.Errorf("the caller got %q", got)
	}
	if r := p.Publish(&Message{Subject: []byte("c.y"), Reply: []byte("in")}); !r.Nobody() {
		t.Errorf("got %+v", r)
	}
}

func TestAFullSinkBehindAnImportIsOfferedTheMessageAgainOnce(t *testing.T) {
	r := newRequestRig(t, nil)
	r.service.verdict = Full
	m := &Message{Subject: []byte("my.x"), Reply: []byte("in.1")}
	if got := r.publisher.Publish(m); !got.Full {
		t.Fatalf("got %+v", got)
	}
	if r.publisher.Again(m) {
		t.Error("the sink is still full")
	}
	r.service.verdict = Staged
	if !r.publisher.Again(m) || len(r.service.requests) != 1 || len(r.bridge().asked) != 1 {
		t.Errorf("%d requests came, %d wait", len(r.service.requests), len(r.bridge().asked))
	}
}

func TestRequestsOfOthersAreNotExportedAsStreams(t *testing.T) {
	r := newRequestRig(t, nil)
	third, sink := NewSpace("C", nil), &fakeSink{}
	third.Subscribe(sub(">", "", "1", sink))
	third.ImportStreams([]StreamImport{{From: r.there, Mapping: mapping(t, ">", "")}})
	r.request(t, "in.1")
	if got := sink.take(); len(got) != 0 {
		t.Errorf("a third account sees a request: %q", got)
	}
	own := internal(r.there)
	publish(own, "svc.x", "own")
	own.HandOver()
	if got := sink.take(); !slices.Equal(got, []string{"1 svc.x own"}) {
		t.Errorf("a third account sees %q", got)
	}
}

// toldSink is a client that says who it is.
type toldSink struct{ fakeSink }

func (s *toldSink) AppendRequestHeader(dst, header []byte, share bool, via string) []byte {
	return fmt.Appendf(dst, "%s share=%v via=%s", header, share, via)
}

func TestAServiceIsToldWhoAsks(t *testing.T) {
	for _, share := range []bool{true, false} {
		r := newRequestRig(t, func(i *ServiceImport) { i.Share = share })
		further := NewSpace("Z", nil)
		service := &replySink{}
		further.Subscribe(sub("deep.*", "", "d", service))
		defer r.there.ImportService(ServiceImport{From: further, Mapping: mapping(t, "deep.*", "svc.$1"), Share: true})()
		p := NewPublisher(r.here, PublisherOptions{Echo: true, Origin: &toldSink{}})
		p.Publish(&Message{Subject: []byte("my.x"), Header: []byte("H"), Data: []byte("hi")})
		p.HandOver()
		near, far := r.service.requests[0], service.requests[0]
		if want := fmt.Sprintf("H share=%v via=", share); string(near.Header) != want || !near.Annotated || string(near.Plain) != "H" {
			t.Errorf("the service is told %q, stored is %q", near.Header, near.Plain)
		}
		// What the client's account does not share the next one can not.
		if want := fmt.Sprintf("H share=%v via= share=%v via=A", share, share); string(far.Header) != want || string(far.Plain) != "H" {
			t.Errorf("the next service is told %q, stored is %q", far.Header, far.Plain)
		}
	}
}

func TestPublishersWithoutImportsAllocateNothing(t *testing.T) {
	s := NewSpace("A", nil)
	s.Subscribe(sub("x", "", "1", quietSink{}))
	other := NewSpace("B", nil)
	other.ImportStreams([]StreamImport{{From: s, Mapping: mapping(t, "y.>", "")}})
	other.Subscribe(sub("y.*", "", "2", quietSink{}))
	p := internal(s)
	for _, subj := range []string{"x", "y.a"} {
		m := &Message{Subject: []byte(subj), Data: []byte("hi")}
		publishAll := func() {
			for range 100 {
				p.Publish(m)
			}
			p.HandOver()
		}
		publishAll()
		if n := testing.AllocsPerRun(20, publishAll); n > 0 {
			t.Errorf("%s: %v allocations for 100 messages", subj, n)
		}
	}
}

// quietSink takes everything and keeps nothing.
type quietSink struct{}

func (quietSink) OpenStage(*Publisher) Stage           { return quietStage{} }
func (quietStage) Add(*Subscription, *Message) Verdict { return Staged }
func (quietStage) HandOver()                           {}

type quietStage struct{}
