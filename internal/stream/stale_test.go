package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// TestErrorIsNotAbsence: an entry that comes too late, twice or damaged has no effect.
// None of them is taken to say that the consumer is not there, which keeps its
// configuration and its state.
func TestErrorIsNotAbsence(t *testing.T) {
	l := newLedger()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first := spec(1, "c")
	must(l.apply(t, first))
	l.Apply(record.KindConsumerDrop, []byte{1}, nil)
	now := spec(2, "c")
	now.Config.Filter = []string{"now"}
	must(l.apply(t, now))
	must(l.apply(t, spec(3, "d")))
	before := l.Snapshot(nil)

	update := func(id uint64, name string) consumerSpec {
		s := spec(id, name)
		s.Update = true
		s.Config.Filter = []string{"stale"}
		return s
	}
	for name, c := range map[string]struct {
		spec consumerSpec
		want error
	}{
		"update of the one before":         {update(1, "c"), ErrNotFound},
		"creation of the one before again": {first, ErrExists},
		"creation again":                   {now, ErrExists},
		"creation of another of the name":  {spec(4, "c"), ErrExists},
		"its number with another name":     {spec(2, "e"), ErrExists},
		"update under another name":        {update(2, "d"), ErrNotFound},
		"update of what never was":         {update(9, "f"), ErrNotFound},
	} {
		if err := l.apply(t, c.spec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if !bytes.Equal(l.Snapshot(nil), before) {
			t.Fatalf("%s changed the consumers", name)
		}
	}
	state := func(id uint64, b ...byte) []byte { return append(binary.AppendUvarint(nil, id), b...) }
	for name, c := range map[string]struct {
		kind record.Kind
		data []byte
	}{
		"drop of the one before":     {record.KindConsumerDrop, []byte{1}},
		"drop of what never was":     {record.KindConsumerDrop, []byte{9}},
		"damaged drop":               {record.KindConsumerDrop, []byte{0x82}},
		"progress of the one before": {record.KindConsumerState, state(1, 1, 1, 1)},
		"damaged progress":           {record.KindConsumerState, state(2, 0xff, 0xff)},
		"empty progress":             {record.KindConsumerState, state(2)},
		"damaged creation":           {record.KindConsumerSet, []byte(`{"id":2`)},
		"damaged update":             {record.KindConsumerSet, []byte(`{"id":2,"update":true,"config":7}`)},
	} {
		l.Apply(c.kind, c.data, nil)
		if !bytes.Equal(l.Snapshot(nil), before) {
			t.Fatalf("%s changed the consumers", name)
		}
	}
}
