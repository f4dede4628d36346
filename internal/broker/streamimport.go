package broker

import (
	"slices"
	"sync"

	"github.com/weirmq/weir/internal/subject"
)

// StreamImport is what a space has of another's messages: who subscribes here to
// what Mapping leads to gets them.
type StreamImport struct {
	From    *Space
	Mapping *subject.Mapping // from their subjects to ours
}

// same says whether two imports are one.
func (i *StreamImport) same(o *StreamImport) bool {
	return i.From == o.From && i.Mapping.String() == o.Mapping.String()
}

// shadows are what stands for a subscription in the spaces that its messages are
// imported from.
type shadows struct {
	mu   sync.Mutex // a leaf but for the shadows' own
	list []shadow   // guarded by mu
}

type shadow struct {
	by  *StreamImport
	sub *Subscription
}

// ImportStreams says what the space imports, instead of what it imported before.
// Subscriptions that are there already take part. Those of an import that stays
// miss nothing. It is called by one goroutine at a time.
func (s *Space) ImportStreams(imports []StreamImport) {
	var old, next []*StreamImport
	if p := s.streams.Load(); p != nil {
		old = *p
	}
	for i := range imports {
		im := &imports[i]
		if at := slices.IndexFunc(old, im.same); at >= 0 {
			im = old[at]
		}
		next = append(next, im)
	}
	if len(next) == 0 && old == nil {
		return
	}
	s.streams.Store(&next)
	for _, sub := range s.table.Values() {
		s.cast(sub)
	}
}

// importable says whether a subscription may be for imported messages. A service of
// an account is for that account only.
func (s *Subscription) importable() bool { return s.Kind == KindClient || s.Kind == KindStream }

// cast has the subscription stand in the spaces that it is to get messages from, and
// in no other. It is called whenever something of that has changed: of two calls at
// the same time the later one sees what both are about.
func (s *Space) cast(sub *Subscription) {
	if s.streams.Load() == nil || !sub.importable() {
		return
	}
	set := sub.shadows.Load()
	if set == nil {
		sub.shadows.CompareAndSwap(nil, new(shadows))
		set = sub.shadows.Load()
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	imports := *s.streams.Load()
	if sub.ended.Load() {
		imports = nil
	}
	var next []shadow
	for _, sh := range set.list {
		if slices.Contains(imports, sh.by) {
			next = append(next, sh)
		} else {
			sh.by.From.Unsubscribe(sh.sub)
		}
	}
	for _, im := range imports {
		if slices.ContainsFunc(next, func(sh shadow) bool { return sh.by == im }) {
			continue
		}
		if pattern, ok := im.Mapping.Inverse().Pattern(sub.Subject); ok {
			sh := shadow{im, newShadow(sub, im, pattern)}
			sh.by.From.Subscribe(sh.sub)
			next = append(next, sh)
		}
	}
	set.list = next
}

func newShadow(sub *Subscription, im *StreamImport, pattern string) *Subscription {
	return &Subscription{
		Subject: pattern, Queue: sub.Queue, SID: sub.SID, Kind: sub.Kind, Far: sub.Far,
		Sink: &importSink{of: sub, mapping: im.Mapping},
	}
}

// importSink delivers what another space's publishers send to a subscription here.
type importSink struct {
	of      *Subscription
	mapping *subject.Mapping
}

// OpenStage implements Sink.
func (s *importSink) OpenStage(p *Publisher) Stage { return &importStage{sink: s, publisher: p} }

// importStage renames one publisher's messages for one subscription.
type importStage struct {
	sink      *importSink
	publisher *Publisher
	message   Message
	names     []byte // of the messages since the last hand-over
}

// Add implements Stage. A request that came by a service import is its exporter's
// affair and goes no further.
func (s *importStage) Add(_ *Subscription, m *Message) Verdict {
	if s.publisher.opts.foreign {
		return Gone
	}
	im := &s.message
	*im = *m
	from := len(s.names)
	names, ok := s.sink.mapping.Append(s.names, m.route())
	if !ok {
		return Gone
	}
	s.names = names
	name := names[from:len(names):len(names)]
	if m.To != nil {
		im.To = name
	} else {
		im.Subject = name
	}
	im.Renamed = true
	if s.sink.of.Kind == KindStream && m.Reply != nil {
		// Its acknowledgement would go to a subject of another account.
		im.Reply, im.Tail = nil, nil
	}
	return s.publisher.Touch(s.sink.of.Sink).Add(s.sink.of, im)
}

// HandOver implements Stage. The subscription's own stage is handed over beside it.
func (s *importStage) HandOver() { s.names = s.names[:0] }
