package broker

import (
	"slices"
	"testing"
)

// gatherSink takes what publishers of one round stage together.
type gatherSink struct {
	gathered []string
	handed   [][]string
	log      *[]string
}

func (s *gatherSink) OpenStage(p *Publisher) Stage { return &gatherStage{s, p} }

// HandOver implements Held.
func (s *gatherSink) HandOver() {
	s.handed = append(s.handed, s.gathered)
	*s.log = append(*s.log, s.gathered...)
	s.gathered = nil
}

type gatherStage struct {
	sink *gatherSink
	p    *Publisher
}

func (g *gatherStage) Add(_ *Subscription, m *Message) Verdict {
	r := g.p.Round()
	if r.Held(g.sink) == nil {
		r.Hold(g.sink, g.sink)
	}
	g.sink.gathered = append(g.sink.gathered, string(m.Data))
	return Staged
}
func (g *gatherStage) HandOver()     {}
func (g *gatherStage) Gathers() bool { return true }

// plainSink notes at the hand-over.
type plainSink struct{ log *[]string }

func (s *plainSink) OpenStage(*Publisher) Stage { return &plainStage{sink: s} }

type plainStage struct {
	sink *plainSink
	has  []string
}

func (g *plainStage) Add(_ *Subscription, m *Message) Verdict {
	g.has = append(g.has, string(m.Data))
	return Staged
}

func (g *plainStage) HandOver() {
	*g.sink.log = append(*g.sink.log, g.has...)
	g.has = nil
}

// roundRig is a space with a gathering sink at g and one at p that does not gather.
func roundRig(t *testing.T) (*Space, *gatherSink, *[]string) {
	t.Helper()
	w := NewWorkers(1, 0)
	t.Cleanup(w.Close)
	s := NewSpaces(w).Get("A")
	log := new([]string)
	g := &gatherSink{log: log}
	s.Subscribe(&Subscription{Subject: "g", Sink: g, Kind: KindStream})
	s.Subscribe(&Subscription{Subject: "p", Sink: &plainSink{log}})
	return s, g, log
}

func joined(s *Space, r *Round) func(subject, data string) {
	p := NewPublisher(s, PublisherOptions{})
	p.Join(r)
	return func(subject, data string) {
		p.Publish(&Message{Subject: []byte(subject), Data: []byte(data)})
		p.HandOver()
	}
}

func TestARoundHandsOverOnceWhatItsPublishersBring(t *testing.T) {
	s, g, log := roundRig(t)
	r := new(Round)
	first, second := joined(s, r), joined(s, r)
	for range 2 {
		first("g", "1")
		second("g", "2")
		first("g", "3")
		if len(*log) > 0 {
			t.Fatalf("%q before the end", *log)
		}
		r.End()
		r.End()
		if want := []string{"1", "2", "3"}; !slices.Equal(*log, want) || len(g.handed) != 1 {
			t.Fatalf("%q in %d hand-overs", *log, len(g.handed))
		}
		*log, g.handed = nil, nil
	}
}

func TestWhatGathersGoesBeforeWhatIsPublishedAfterIt(t *testing.T) {
	s, _, log := roundRig(t)
	r := new(Round)
	first, second := joined(s, r), joined(s, r)
	first("g", "1")
	second("p", "2") // of another publisher, too
	second("g", "3")
	second("p", "4")
	if want := []string{"1", "2", "3", "4"}; !slices.Equal(*log, want) {
		t.Errorf("%q", *log)
	}
}
