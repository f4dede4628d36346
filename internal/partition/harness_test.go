package partition

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/record"
)

// memStore is a Store in memory for tests.
type memStore struct {
	frames []*record.Frame
	first  uint64
	state  []byte
	saved  *memStore // as of the last checkpoint
	reads  int       // records that were read
	err    error     // of reading
}

func (m *memStore) clone() *memStore {
	return &memStore{frames: slices.Clone(m.frames), first: m.first, state: m.state}
}

func (m *memStore) Append(f *record.Frame) {
	if f.Last() > m.Last() {
		m.frames = append(m.frames, f)
	}
}

func (m *memStore) Last() uint64 {
	if len(m.frames) == 0 {
		return 0
	}
	return m.frames[len(m.frames)-1].Last()
}

func (m *memStore) Get(seq uint64) (record.View, error) {
	c := &memCursor{m: m, next: seq}
	v, err := c.Next()
	if err != nil || v.Seq != seq {
		return record.View{}, ErrNotFound
	}
	return v, nil
}

func (m *memStore) Cursor(from uint64) Cursor { return &memCursor{m: m, next: from} }

func (m *memStore) SeekTime(t int64) (uint64, error) {
	c := m.Cursor(0)
	for {
		v, err := c.Next()
		if err != nil {
			return m.Last() + 1, nil
		}
		if v.Time >= t {
			return v.Seq, nil
		}
	}
}

func (m *memStore) Checkpoint(b []byte) error {
	m.state = slices.Clone(b)
	m.saved = m.clone()
	return nil
}

func (m *memStore) Trim(first uint64) { m.first = max(m.first, first) }
func (m *memStore) State() []byte     { return m.state }
func (m *memStore) Drop() error       { return nil }
func (m *memStore) Close() error      { return nil }

type memCursor struct {
	m    *memStore
	next uint64
}

func (c *memCursor) Next() (record.View, error) {
	if c.m.err != nil {
		return record.View{}, c.m.err
	}
	c.next = max(c.next, c.m.first)
	i := sort.Search(len(c.m.frames), func(i int) bool { return c.m.frames[i].Last() >= c.next })
	if i == len(c.m.frames) {
		return record.View{}, io.EOF
	}
	f := c.m.frames[i]
	v, err := f.Record(f.Find(c.next))
	c.next = v.Seq + 1
	c.m.reads++
	return v, err
}
func (c *memCursor) Seek(seq uint64) { c.next = seq }
func (c *memCursor) Close()          {}

// noLedger has no consumers.
type noLedger struct{}

func (noLedger) Apply(record.Kind, []byte, any) {}
func (noLedger) Snapshot(b []byte) []byte       { return b }
func (noLedger) Restore([]byte) error           { return nil }

// space is a Budget.
type space struct{ used, limit uint64 }

func (s *space) Reserve(n uint64) bool {
	if s.limit > 0 && s.used+n > s.limit {
		return false
	}
	s.used += n
	return true
}
func (s *space) Return(n uint64) { s.used -= n }

// loggedEntry is an entry as the journal would have it.
type loggedEntry struct {
	term, index uint64
	kind        uint8
	data        []byte
}

// rig is a partition whose entries become durable when the test says so.
type rig struct {
	t       *testing.T
	p       *Partition
	store   *memStore
	budget  *space
	solo    *multiraft.Solo
	log     []loggedEntry
	durable int
	told    []string // outcomes in the order in which they were told
	gone    []uint64
	numbers []uint64 // of the removals
	quiet   bool     // outcomes are not noted
	instant bool     // what is appended is durable at once
	due     int      // calls of Due
	joined  int      // batches that joined another
}

var allChecks = []Check{CheckDialect, CheckLastOfSubject, CheckLast, CheckDuplicate, CheckLastID, CheckRollup}

func newRig(t *testing.T, l Limits) *rig { return openRig(t, l, &memStore{}) }

func openRig(t *testing.T, l Limits, store *memStore) *rig {
	r := &rig{t: t, store: store, budget: &space{}, solo: multiraft.NewSolo()}
	p, err := New(Options{
		Identity: record.Identity{ID: 20, Incarnation: 1}, Limits: l, Store: store, Proposer: proposer{r.solo},
		Ledger: noLedger{}, Budget: r.budget, Observer: r, Order: allChecks,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.p = p
	r.solo.Bind(r, r)
	return r
}

type proposer struct{ *multiraft.Solo }

func (p proposer) Propose(kind record.Kind, urgent bool, value any, parts ...[]byte) {
	p.Solo.Propose(uint8(kind), urgent, value, parts...)
}

// rig is the group's storage …
func (r *rig) Append(term, index uint64, kind uint8, _ bool, parts ...[]byte) {
	r.log = append(r.log, loggedEntry{term, index, kind, slices.Concat(parts...)})
	if r.instant {
		r.sync()
	}
}
func (r *rig) Release(uint64) {}

// … its machine …
func (r *rig) Apply(e multiraft.Entry) {
	err := r.p.Apply(Entry{Index: e.Index, Term: e.Term, Kind: record.Kind(e.Kind), Data: e.Data, Value: e.Value})
	if err != nil {
		r.t.Errorf("apply entry %d: %v", e.Index, err)
	}
}
func (r *rig) Failed(err error)          { r.p.Failed(err) }
func (r *rig) Settled()                  {}
func (r *rig) Discard(e multiraft.Entry) { r.p.Discard(e.Value) }

// … and the observer.
func (r *rig) Committed(b *Batch, local bool) {
	if r.quiet {
		return
	}
	var s []string
	for _, o := range b.Outcomes {
		s = append(s, fmt.Sprintf("%d/%d/%d", o.Refusal, o.Seq, o.Detail))
	}
	line := strings.Join(s, " ")
	if local {
		line += " local"
	}
	r.told = append(r.told, line)
}
func (r *rig) Discarded(*Batch)            { r.told = append(r.told, "discarded") }
func (r *rig) Applied(_ uint64, gone bool) {}
func (r *rig) Removed(seq uint64, _ []byte, n uint64) {
	r.gone, r.numbers = append(r.gone, seq), append(r.numbers, n)
}

// sync makes everything durable that was appended.
func (r *rig) sync() {
	for r.durable < len(r.log) {
		r.durable = len(r.log)
		r.solo.Durable(r.log[r.durable-1].index)
	}
}

// msg is one record to publish.
type msg struct {
	subject, data, id string
	key               string
	cond              Conditions
	rollup            record.Rollup
	ttl               int64
}

// publish admits messages as one batch.
func (r *rig) publish(now int64, msgs ...msg) {
	b := &Batch{}
	for _, m := range msgs {
		p := record.Parts{Subject: []byte(m.subject), Data: []byte(m.data), Key: []byte(m.key), Rollup: m.rollup, TTL: m.ttl}
		c := m.cond
		if m.id != "" {
			copy(p.ID[:], m.id)
			p.HasID, c.HasID, c.ID = true, true, p.ID
		}
		b.Area.Append(&p)
		b.Conds = append(b.Conds, c)
	}
	r.p.Admit(now, b)
}

// seqs lists what readers see, as seq:subject=data.
func (r *rig) seqs() string {
	var out []string
	rd := r.p.Reader(0)
	for {
		v, err := rd.Next()
		if err != nil {
			return strings.Join(out, " ")
		}
		out = append(out, fmt.Sprintf("%d:%s=%s", v.Seq, v.Subject, v.Data))
	}
}

func (r *rig) wantTold(want ...string) {
	r.t.Helper()
	if !slices.Equal(r.told, want) {
		r.t.Fatalf("told %q, want %q", r.told, want)
	}
	r.told = nil
}

func (r *rig) wantSeqs(want string) {
	r.t.Helper()
	if got := r.seqs(); got != want {
		r.t.Fatalf("visible %q, want %q", got, want)
	}
}
