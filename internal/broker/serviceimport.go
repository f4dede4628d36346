package broker

import (
	"container/list"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/subject"
)

// ServiceImport is a service of another space that a space has at a subject of its
// own.
type ServiceImport struct {
	From      *Space
	Mapping   *subject.Mapping // from their subjects to ours
	Response  account.Response
	Threshold time.Duration // how long an answer is waited for; 0: account.DefaultThreshold
	Share     bool          // the service is told all about the client
}

// Requester is an Origin that can say who asks.
type Requester interface {
	// AppendRequestHeader appends a header block: the given one, with who the client
	// is. With share set it says more. via is the account by whose import the request
	// goes on, where that is not the client's.
	AppendRequestHeader(dst, header []byte, share bool, via string) []byte
}

// Bounds of the requests of one import that wait for answers, and of how many of
// them each new one looks after.
const (
	maxAsked   = 1 << 16
	sweepAsked = 2
)

// bridge carries the requests of one service import, and the answers back.
type bridge struct {
	// Set at construction.
	ServiceImport
	space  *Space
	theirs *subject.Mapping // from our subjects to theirs
	prefix string           // of the replies that the service sees, "_R_.xxxxxx."
	sub    *Subscription    // for requests, in space
	back   *Subscription    // for answers, in From

	mu      sync.Mutex
	open    bool                     // guarded by mu: back is subscribed
	stopped bool                     // guarded by mu
	asked   map[string]*list.Element // guarded by mu; nil before the first: of *asked, by the last token of the reply
	replies map[string]*list.Element // guarded by mu: the same by the client's reply; of Streamed
	age     list.List                // guarded by mu: the longest unused first
}

// asked is a request that waits for an answer.
type asked struct {
	token string // the last of the reply that the service sees
	reply string // the client's
	used  time.Time
}

// ImportService has requests on the subjects here answered there, until stop is
// called.
func (s *Space) ImportService(i ServiceImport) (stop func()) {
	if i.Threshold <= 0 {
		i.Threshold = account.DefaultThreshold
	}
	b := &bridge{
		ServiceImport: i, space: s, theirs: i.Mapping.Inverse(), prefix: "_R_." + randomToken() + ".",
	}
	b.sub = &Subscription{Subject: i.Mapping.To(), Kind: KindService, Sink: &requestSink{b}}
	b.back = &Subscription{Subject: b.prefix + "*", Kind: KindAnswer, Sink: &answerSink{b}}
	s.Subscribe(b.sub)
	return b.stop
}

func (b *bridge) stop() {
	b.space.Unsubscribe(b.sub)
	b.mu.Lock()
	open := b.open
	b.open, b.stopped = false, true
	clear(b.asked)
	clear(b.replies)
	b.age.Init()
	b.mu.Unlock()
	if open {
		b.From.Unsubscribe(b.back)
	}
}

// randomToken gives 6 letters or digits that nobody can guess.
func randomToken() string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var t [6]byte
	n := rand.Uint64()
	for i := range t {
		t[i] = digits[n%uint64(len(digits))]
		n /= uint64(len(digits))
	}
	return string(t[:])
}

// ask notes a request and gives the last token of the reply that the service sees.
// fresh says that it was not noted already.
func (b *bridge) ask(reply []byte, now time.Time) (token string, fresh bool) {
	b.sweep(now)
	b.mu.Lock()
	if b.stopped {
		b.mu.Unlock()
		return "", false
	}
	if b.asked == nil {
		b.asked, b.replies = map[string]*list.Element{}, map[string]*list.Element{}
	}
	if e := b.replies[string(reply)]; e != nil {
		a := e.Value.(*asked)
		a.used = now
		b.age.MoveToBack(e)
		b.mu.Unlock()
		return a.token, false
	}
	a := &asked{token: randomToken(), reply: string(reply), used: now}
	for b.asked[a.token] != nil {
		a.token = randomToken()
	}
	e := b.age.PushBack(a)
	b.asked[a.token] = e
	if b.Response == account.Streamed {
		b.replies[a.reply] = e
	}
	if b.age.Len() > maxAsked {
		b.forgetLocked(b.age.Front())
	}
	opens := !b.open
	b.open = true
	b.mu.Unlock()
	if opens {
		b.From.Subscribe(b.back)
	}
	return a.token, true
}

// sweep forgets a few requests that were not answered in time. Those that may have
// any number of answers wait for as long as somebody listens.
func (b *bridge) sweep(now time.Time) {
	for range sweepAsked {
		b.mu.Lock()
		e := b.age.Front()
		if e == nil || now.Sub(e.Value.(*asked).used) < b.Threshold {
			b.mu.Unlock()
			return
		}
		a := e.Value.(*asked)
		b.mu.Unlock()
		alive := b.Response == account.Streamed && b.space.Interested([]byte(a.reply))
		b.mu.Lock()
		switch {
		case b.asked[a.token] != e:
		case alive:
			a.used = now
			b.age.MoveToBack(e)
		default:
			b.forgetLocked(e)
		}
		b.mu.Unlock()
	}
}

// answered finds the client's reply subject for an answer; ok is false where none is
// waited for. last says that no other will follow.
func (b *bridge) answered(token []byte, empty bool, now time.Time) (reply string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.asked[string(token)]
	if e == nil {
		return "", false
	}
	a := e.Value.(*asked)
	switch {
	case b.Response == account.Singleton, b.Response == account.Chunked && empty:
		b.forgetLocked(e)
		return a.reply, now.Sub(a.used) < b.Threshold
	case b.Response == account.Chunked && now.Sub(a.used) >= b.Threshold:
		b.forgetLocked(e)
		return "", false
	}
	a.used = now
	b.age.MoveToBack(e)
	return a.reply, true
}

// forget ends the wait for answers.
func (b *bridge) forget(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.asked[token]; e != nil {
		b.forgetLocked(e)
	}
}

func (b *bridge) forgetLocked(e *list.Element) {
	a := e.Value.(*asked)
	delete(b.asked, a.token)
	if b.replies[a.reply] == e {
		delete(b.replies, a.reply)
	}
	b.age.Remove(e)
}
