package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// plain is a Dialect that demands nothing.
type plain struct{}

func (plain) Order() []partition.Check                                    { return nil }
func (plain) Conditions(*Stream, []byte, []byte, *partition.Conditions)   {}
func (plain) AppendReply(b []byte, _ *Stream, _ partition.Outcome) []byte { return b }
func (plain) Batch(*broker.Message, *BatchPart) bool                      { return false }
func (plain) Closing(header []byte) []byte                                { return header }
func (plain) AppendFlow(dst []byte, _ *Stream, _ *FlowNote) []byte        { return dst }
func (plain) AppendWhole(dst []byte, _ *Stream, _ partition.Outcome, _ string, _ int) []byte {
	return dst
}
func (plain) Totals() partition.Totals                                 { return nil }
func (plain) Open(doc []byte) (any, error)                             { return len(doc), nil }
func (plain) OpenConsumer(doc []byte) (any, error)                     { return len(doc), nil }
func (plain) AppendMarker(dst []byte, _ int64) []byte                  { return dst }
func (plain) IsMarker([]byte) bool                                     { return false }
func (plain) Plan(*record.View, int64) Plan                            { return Plan{} }
func (plain) Scheduled(*record.View, *record.View, int64) record.Parts { return record.Parts{} }
func (plain) Copied(*Stream, *Origin, *record.View, []byte, *partition.Conditions) record.Parts {
	return record.Parts{}
}
func (plain) Republished(*Stream, *record.View, uint64, bool) ([]byte, bool) { return nil, false }
func (plain) AckReplyLen(string, string) func(*consumer.Delivery) int        { return nil }

// kept is a log that holds nothing.
type kept struct{}

func (kept) Release(uint64, func(*record.View) bool)              {}
func (kept) ReleaseRange(uint64, uint64, func(*record.View) bool) {}
func (kept) ReleaseAll()                                          {}
func (kept) Released()                                            {}
func (kept) Committed() uint64                                    { return 0 }

// newLedger returns the ledger of a stream that still replays.
func newLedger() *ledger {
	s := &Stream{dialect: plain{}, dir: &Directory{log: slog.New(slog.DiscardHandler)}, consumers: map[string]*Consumer{}}
	s.ledger = &ledger{stream: s, log: kept{}, by: map[uint64]*applied{}, names: map[string]uint64{}}
	s.config.Store(&Config{})
	return s.ledger
}

func (l *ledger) apply(t *testing.T, spec consumerSpec) error {
	t.Helper()
	data, err := json.Marshal(&spec)
	if err != nil {
		t.Fatal(err)
	}
	w := newWaiter()
	l.Apply(record.KindConsumerSet, data, w)
	return <-w.done
}

func spec(id uint64, name string) consumerSpec {
	return consumerSpec{ID: id, Created: 5, Config: ConsumerConfig{Name: name, Start: 3, Filter: []string{"a.*"}}}
}

func TestTheLogDecidesWhichConsumerHasAName(t *testing.T) {
	l := newLedger()
	update := spec(1, "c")
	update.Update = true
	if err := l.apply(t, update); !errors.Is(err, ErrNotFound) {
		t.Fatalf("an update of nothing: %v", err)
	}
	if err := l.apply(t, spec(1, "c")); err != nil {
		t.Fatal(err)
	}
	if err := l.apply(t, spec(2, "c")); !errors.Is(err, ErrExists) {
		t.Fatalf("a second consumer of the name: %v", err)
	}
	update.Config.Filter = []string{"b"}
	if err := l.apply(t, update); err != nil {
		t.Fatal(err)
	}
	if got := l.by[1].spec.Config.Filter[0]; got != "b" {
		t.Fatalf("the filter is %s", got)
	}
	l.Apply(record.KindConsumerDrop, []byte{1}, nil)
	if err := l.apply(t, update); !errors.Is(err, ErrNotFound) {
		t.Fatalf("an update of what was deleted: %v", err)
	}
	if err := l.apply(t, spec(3, "c")); err != nil {
		t.Fatalf("the name is not free again: %v", err)
	}
}

func TestALedgerComesBackFromItsSnapshot(t *testing.T) {
	l := newLedger()
	c := &Config{Name: "s", Subjects: []string{"a.>"}, Dialect: "plain"}
	if err := l.stream.setConfig(c); err != nil {
		t.Fatal(err)
	}
	l.config = encodeConfig(c)
	for i, name := range []string{"x", "y", "z"} {
		if err := l.apply(t, spec(uint64(i+1), name)); err != nil {
			t.Fatal(err)
		}
	}
	snap := l.Snapshot([]byte("before"))
	again := newLedger()
	if err := again.Restore(snap[6:]); err != nil {
		t.Fatal(err)
	}
	if b := again.Snapshot(nil); !bytes.Equal(b, snap[6:]) {
		t.Fatalf("it came back as\n%q, was\n%q", b, snap[6:])
	}
	if got := again.stream.Config().Subjects[0]; got != "a.>" {
		t.Fatalf("the configuration captures %q", got)
	}
}

func TestADamagedConfigurationIsRefused(t *testing.T) {
	for _, b := range []string{"", "{", `{"subjects":1}`, `[]`} {
		if _, err := decodeConfig([]byte(b)); !errors.Is(err, record.ErrDamaged) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func FuzzLedgerRestore(f *testing.F) {
	l := newLedger()
	f.Add([]byte{})
	f.Add(l.Snapshot(nil))
	l.config = encodeConfig(&Config{Name: "s", Dialect: "plain"})
	_ = l.set(spec(1, "x"))
	_ = l.set(spec(2, "y"))
	f.Add(l.Snapshot(nil))
	f.Add(append(l.Snapshot(nil), 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newLedger()
		if l.Restore(b) != nil {
			return
		}
		snap := l.Snapshot(nil)
		again := newLedger()
		if err := again.Restore(snap); err != nil {
			t.Fatalf("what was restored does not come back: %v", err)
		}
		if !bytes.Equal(again.Snapshot(nil), snap) {
			t.Fatal("a snapshot of what was restored is another one")
		}
	})
}

func FuzzLedgerApply(f *testing.F) {
	data, err := json.Marshal(spec(1, "x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(record.KindConsumerSet), data)
	f.Add(uint8(record.KindConsumerDrop), []byte{1})
	f.Add(uint8(record.KindConsumerState), []byte{1, 1, 1})
	f.Add(uint8(record.KindConfig), encodeConfig(&Config{Name: "s"}))
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		l := newLedger()
		l.stream.dir.serving = false
		_ = l.set(spec(1, "y"))
		l.Apply(record.Kind(kind), b, nil)
		if len(l.names) != len(l.by) {
			t.Fatalf("%d names of %d consumers", len(l.names), len(l.by))
		}
	})
}

func FuzzDecodeConfig(f *testing.F) {
	f.Add(encodeConfig(&Config{Name: "s", Subjects: []string{"a.>"}, Dialect: "plain", Doc: []byte(`{"x":1}`)}))
	f.Add([]byte(`{"limits":{"max_age":-1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeConfig(b)
		if err != nil {
			return
		}
		once := encodeConfig(c)
		again, err := decodeConfig(once)
		if err != nil || !bytes.Equal(encodeConfig(again), once) {
			t.Fatalf("%s does not come back: %v", once, err)
		}
	})
}
