package broker

import (
	"math/bits"
	"math/rand/v2"
)

const (
	// stagedCap is how many bytes a publisher stages before it hands over by itself.
	stagedCap = 4 << 20
	// destsKept is how many destinations are remembered over many changes of the
	// routing table.
	destsKept = 64
	// defaultCacheBytes bounds a publisher's cache where its options do not.
	defaultCacheBytes = 32 << 20
)

// PublisherOptions say for whom a publisher publishes.
type PublisherOptions struct {
	Origin      Sink        // the publisher's own sink; nil for internal ones
	Echo        bool        // Origin gets its own messages, too
	Permissions Permissions // nil: all is allowed
	CacheBytes  int         // bound of the cache; 0: 32 MiB
	Budget      *Budget     // bound that publishers share; nil: none

	foreign bool // what it publishes comes from another account
	private bool // and says little about the client that it comes from
}

// Result says what became of a message: how many subscriptions of each kind
// took it.
type Result struct {
	Clients, Streams, Services int
	Denied                     bool // permissions; nothing was staged
	Full                       bool // some sink was over budget; see Publisher.Again
}

// Nobody says that no subscription took or refused the message.
func (r *Result) Nobody() bool {
	return r.Clients+r.Streams+r.Services == 0 && !r.Full && !r.Denied
}

// Publisher sends messages into a space. It belongs to one goroutine.
type Publisher struct {
	// Local belongs to the stages of clients' connections: what they share for
	// this publisher.
	Local any

	space *Space
	opts  PublisherOptions
	cache cache
	rng   uint64
	round *Round // nil: it hands over alone

	dests   map[Sink]*dest
	touched []*dest // staged to since the last HandOver
	resets  int     // since dests was forgotten

	last   *entry // of the last publish
	run    int
	fanout int
	serial uint64
	staged int // bytes since the last HandOver, by the messages' sizes
	cur    Message
	result Result
	full   []*target // that answered Full to the last publish
}

// dest is a sink as this publisher knows it.
type dest struct {
	sink    Sink
	stage   Stage
	touched bool
	gathers bool // the stage leaves what it has in the round
}

// NewPublisher gives a publisher of a space.
func NewPublisher(s *Space, opts PublisherOptions) *Publisher {
	p := &Publisher{dests: make(map[Sink]*dest), rng: rand.Uint64() | 1}
	p.bind(s, opts)
	return p
}

func (p *Publisher) bind(s *Space, opts PublisherOptions) {
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultCacheBytes
	}
	p.space, p.opts = s, opts
	p.cache.init(opts.CacheBytes, opts.Budget)
}

// Rebind hands over and goes on in another space or for somebody else.
func (p *Publisher) Rebind(s *Space, opts PublisherOptions) {
	p.HandOver()
	p.forget()
	p.dests = make(map[Sink]*dest)
	p.bind(s, opts)
}

// Space is where the publisher publishes.
func (p *Publisher) Space() *Space { return p.space }

// Origin is the sink that the publisher publishes for, or nil.
func (p *Publisher) Origin() Sink { return p.opts.Origin }

// Release hands over and gives back what the cache holds. The publisher may be
// used again.
func (p *Publisher) Release() {
	p.HandOver()
	p.forget()
	clear(p.dests)
	p.cur = Message{}
}

// Fanout is how many subscriptions and queue groups the message that is being
// published goes to. For stages.
func (p *Publisher) Fanout() int { return p.fanout }

// Run is how many messages before the one that is being published were routed
// the same way without another in between. For stages.
func (p *Publisher) Run() int { return p.run }

// Touched is how many destinations are being handed over to. For stages.
func (p *Publisher) Touched() int { return len(p.touched) }

// Serial numbers the messages of this publisher. For stages.
func (p *Publisher) Serial() uint64 { return p.serial }

// Publish stages m with everybody that it is for. m itself is not kept.
func (p *Publisher) Publish(m *Message) Result {
	switch p.Route(m.route()) {
	case Denied:
		return Result{Denied: true}
	case Nobody:
		return Result{}
	}
	return *p.Deliver(m)
}

// Send is Publish for a message that is a subject and data and nothing more.
func (p *Publisher) Send(subject, data []byte) {
	if p.Route(subject) != Wanted {
		return
	}
	p.cur = Message{}
	p.cur.Subject, p.cur.Data = subject, data
	p.Deliver(&p.cur)
}

// Routed says whether there is anything to deliver.
type Routed uint8

// What Route finds.
const (
	Wanted Routed = iota // Deliver is to follow
	Nobody               // no subscription matches
	Denied               // permissions forbid it
)

// Route looks up who gets the messages of a subject. It is the first half of
// Publish, for callers that have something to do in between.
func (p *Publisher) Route(to []byte) Routed {
	e := p.find(to)
	if p.opts.Permissions != nil && p.denied(e, to) {
		return Denied
	}
	if e == p.last {
		p.run++
	} else {
		p.last, p.run = e, 0
		p.fanout = len(e.plain) + len(e.queues)
	}
	if p.fanout == 0 {
		return Nobody
	}
	return Wanted
}

// OnlyStreams says whether all whom Route has just found are streams.
func (p *Publisher) OnlyStreams() bool {
	e := p.last
	for i := range e.plain {
		if e.plain[i].sub.Kind != KindStream {
			return false
		}
	}
	for i := range e.queues {
		for k := range e.queues[i].members {
			if e.queues[i].members[k].sub.Kind != KindStream {
				return false
			}
		}
	}
	return true
}

// Deliver stages m with those that Route has just found for its subject. The
// result is valid until the next message.
func (p *Publisher) Deliver(m *Message) *Result {
	e := p.last
	p.result = Result{}
	p.serial++
	if m != &p.cur {
		p.cur = *m
	}
	p.full = p.full[:0]
	memo := e.exact && m.To == nil
	for i := range e.plain {
		p.offer(&e.plain[i], memo)
	}
	for i := range e.queues {
		if m.Groups == nil || m.Groups.has(e.queues[i].name) {
			p.choose(&e.queues[i], memo)
		}
	}
	p.result.Full = len(p.full) > 0
	p.staged += m.Size() * p.fanout
	if p.staged >= stagedCap {
		p.HandOver()
	}
	return &p.result
}

// Draft gives a message that belongs to the publisher, for callers that want to
// save a copy: it is filled in and given to Deliver.
func (p *Publisher) Draft() *Message { return &p.cur }

// Again offers m, which is unchanged, once more to the sinks that were full. It
// says whether none is any longer.
func (p *Publisher) Again(m *Message) bool {
	if m != &p.cur {
		p.cur = *m
	}
	waiting := p.full
	p.full = p.full[:0]
	for _, t := range waiting {
		p.offer(t, false)
	}
	return len(p.full) == 0
}

// denied judges the subject, from the entry where it was judged for good.
func (p *Publisher) denied(e *entry, to []byte) bool {
	if e.judged {
		return e.denied
	}
	allowed, fixed := p.opts.Permissions.MayPublish(to)
	if fixed && e.exact {
		e.judged, e.denied = true, !allowed
	}
	return !allowed
}

// offer stages the current message with one subscription and says whether that
// settled it.
func (p *Publisher) offer(t *target, memo bool) bool {
	if !p.opts.Echo && t.sub.Sink == p.opts.Origin {
		return false
	}
	d := t.dest
	if d == nil {
		d = p.open(t.sub.Sink)
		t.dest = d
	}
	if p.cur.Memo = nil; memo {
		p.cur.Memo = &t.memo
	}
	switch d.stage.Add(t.sub, &p.cur) {
	case Staged:
		if !d.touched {
			d.touched = true
			p.touched = append(p.touched, d)
		}
		switch t.sub.Kind {
		case KindStream:
			p.result.Streams++
		case KindService:
			p.result.Services++
		default:
			p.result.Clients++
		}
		return true
	case Full:
		p.full = append(p.full, t)
		return true
	}
	return false
}

// choose offers the message to one member of a queue group, from a random one on.
// Those of other servers get what none of this one takes.
func (p *Publisher) choose(g *group, memo bool) {
	if g.near > 0 && p.anyOf(g.members[:g.near], p.random(g.near), memo) {
		return
	}
	if far := g.members[g.near:]; len(far) > 0 {
		p.anyOf(far, p.weighted(far), memo)
	}
}

// anyOf offers the message to members, from i on, until one takes it.
func (p *Publisher) anyOf(members []target, i int, memo bool) bool {
	for range members {
		if p.offer(&members[i], memo) {
			return true
		}
		if i++; i == len(members) {
			i = 0
		}
	}
	return false
}

// weighted gives the index of one of members, each as likely as its weight says.
func (p *Publisher) weighted(members []target) int {
	if len(members) == 1 {
		return 0
	}
	total := 0
	for i := range members {
		total += members[i].sub.Weight()
	}
	at := p.random(total)
	for i := range members {
		if at -= members[i].sub.Weight(); at < 0 {
			return i
		}
	}
	return len(members) - 1 // a weight has fallen meanwhile
}

// random gives a number below n, each as likely as the others.
func (p *Publisher) random(n int) int {
	if n == 1 {
		return 0
	}
	p.rng ^= p.rng << 13
	p.rng ^= p.rng >> 7
	p.rng ^= p.rng << 17
	hi, _ := bits.Mul64(p.rng*0x2545F4914F6CDD1D, uint64(n))
	return int(hi)
}

func (p *Publisher) open(s Sink) *dest {
	d := p.dests[s]
	if d == nil {
		d = &dest{sink: s, stage: s.OpenStage(p)}
		if g, ok := d.stage.(Gatherer); ok {
			d.gathers = g.Gathers()
		}
		p.dests[s] = d
	}
	return d
}

// Touch gives the stage of a sink and has it handed over with the others. It is
// for what a sink stages with itself, such as replies of the protocol.
func (p *Publisher) Touch(s Sink) Stage {
	d := p.open(s)
	if !d.touched {
		d.touched = true
		p.touched = append(p.touched, d)
	}
	return d.stage
}

// Join has the publisher's next hand-overs be part of a round, or of none (nil). The
// round that it leaves must have ended.
func (p *Publisher) Join(r *Round) { p.round = r }

// Round is the round that the publisher takes part in; nil: none. For stages.
func (p *Publisher) Round() *Round { return p.round }

// HandOver passes on all that is staged. What gathers in a round goes before
// everything that does not, and before its End.
func (p *Publisher) HandOver() {
	for _, d := range p.touched {
		d.touched = false
		if p.round != nil && !d.gathers {
			p.round.End()
		}
		d.stage.HandOver()
	}
	clear(p.touched)
	if p.touched = p.touched[:0]; cap(p.touched) > 1024 {
		p.touched = nil
	}
	p.staged = 0
	p.run = 0
	p.last = nil
}

// find gives the entry of a subject that is right for the table as it is now.
func (p *Publisher) find(to []byte) *entry {
	if generation := p.space.Generation(); generation != p.cache.generation {
		p.reset(generation)
	}
	if e := p.cache.get(to); e != nil {
		return e
	}
	r, upTo := p.space.matchUpTo(to)
	e := p.cache.add(to, r, upTo)
	if e == p.last {
		p.last = nil // the passing entry, of another subject
	}
	return e
}

// reset forgets what was matched in an older generation. Destinations outlive
// it, as most are met again, but not for ever: closed ones must not be kept.
func (p *Publisher) reset(generation uint64) {
	p.forget()
	p.cache.generation = generation
	p.resets++
	if patience := 4 * destsKept; len(p.dests) <= destsKept && p.resets < patience || p.resets < patience/4 {
		return
	}
	p.resets = 0
	for s, d := range p.dests {
		if !d.touched {
			delete(p.dests, s)
		}
	}
}

func (p *Publisher) forget() {
	p.cache.clear()
	p.last = nil
	clear(p.full)
	p.full = p.full[:0]
}
