package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
)

func message(seq uint64) *record.View {
	return &record.View{Seq: seq, Time: int64(seq) * 1000, Subject: fmt.Appendf(nil, "s.%d", seq%2), Data: fmt.Appendf(nil, "data %d", seq)}
}

func fill(t *testing.T, s *spool, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if err := s.add(message(seq)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
}

func sequencesOf(t *testing.T, s *spool) (all []uint64) {
	t.Helper()
	if err := s.each(func(v *record.View) error { all = append(all, v.Seq); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatWasGatheredIsThereAfterAnInterruption(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "work", "S")
	of := spooled{Stream: "S", Created: time.Unix(5, 0)}
	s, err := openSpool(dir, of)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 3, 5, 9)
	fill(t, s, 12)
	if _, err := openSpool(dir, of); err == nil || !strings.Contains(err.Error(), "another import is at work") {
		t.Errorf("two have it: %v", err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	// What a kill leaves of a part that was not whole.
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000013.part.new"), []byte("WEIRBAK1 half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = openSpool(dir, of)
	if err != nil || s.last() != 12 || s.records() != 4 {
		t.Fatalf("%+v, %v", s, err)
	}
	fill(t, s, 20)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(sequencesOf(t, s)); got != "[3 5 9 12 20]" {
		t.Errorf("it has %s", got)
	}
	of.Created = time.Unix(6, 0)
	if _, err := openSpool(dir, of); err == nil || !strings.Contains(err.Error(), "another stream") {
		t.Errorf("a stream that was made anew is gone on with: %v", err)
	}
	if err := s.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !os.IsNotExist(err) {
		t.Errorf("a directory is left: %v", err)
	}
}

func TestADamagedPartIsFoundBeforeItIsSent(t *testing.T) {
	s, err := openSpool(filepath.Join(t.TempDir(), "S"), spooled{Stream: "S"})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 1, 2, 3)
	b, err := os.ReadFile(s.parts[0].file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-40] ^= 1
	if err := os.WriteFile(s.parts[0].file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.each(func(*record.View) error { return nil }); err == nil || !strings.Contains(err.Error(), "damaged at offset") || !strings.Contains(err.Error(), s.parts[0].file) {
		t.Errorf("the error is %v", err)
	}
}

// compared holds what weir has against what was gathered: messages 1 to 5.
func compared(t *testing.T, c *comparison, has ...*record.View) *comparison {
	t.Helper()
	next, stop := iter.Pull2(func(yield func(*record.View, error) bool) {
		for seq := uint64(1); seq <= 5 && yield(message(seq), nil); seq++ {
			continue
		}
	})
	defer stop()
	c.next = next
	c.advance()
	for _, v := range has {
		if err := c.see(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.end(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEachDifferenceOfACopyIsFound(t *testing.T) {
	now := time.Unix(100, 0)
	all := func(change func(*record.View)) (out []*record.View) {
		for seq := uint64(1); seq <= 5; seq++ {
			v := message(seq)
			if seq == 3 {
				change(v)
			}
			out = append(out, v)
		}
		return out
	}
	same := all(func(*record.View) {})
	if c := compared(t, &comparison{now: now}, same...); c.wrong != 0 || c.same != 5 {
		t.Errorf("the same messages: %+v", c)
	}
	for what, change := range map[string]func(*record.View){
		"time":    func(v *record.View) { v.Time++ },
		"subject": func(v *record.View) { v.Subject = []byte("other") },
		"data":    func(v *record.View) { v.Data = append(v.Data, 0) },
		"headers": func(v *record.View) { v.Header = []byte("NATS/1.0\r\na: b\r\n\r\n") },
	} {
		if c := compared(t, &comparison{now: now}, all(change)...); c.wrong != 1 || c.examples[0] != "message 3 is another one" {
			t.Errorf("%s: %+v", what, c)
		}
	}
	without := append(append([]*record.View{}, same[:2]...), same[3:]...)
	if c := compared(t, &comparison{now: now}, without...); c.wrong != 1 || c.examples[0] != "message 3 is missing" {
		t.Errorf("a missing one: %+v", c)
	}
	if c := compared(t, &comparison{now: now, maxAge: time.Second}, same[4:]...); c.wrong != 0 || c.expired != 4 {
		t.Errorf("expired ones: %+v", c)
	}
	if c := compared(t, &comparison{now: now}, append(same, message(6))...); c.wrong != 1 || c.examples[0] != "message 6 is too many" {
		t.Errorf("one too many: %+v", c)
	}
}

func TestHeadersInAnotherOrderAreTheSame(t *testing.T) {
	a := canonical([]byte("NATS/1.0\r\nb: 2\r\nA: 1\r\nb: 3\r\n\r\n"))
	b := canonical([]byte("NATS/1.0\r\nA:1\r\nb: 2\r\nb: 3\r\n\r\n"))
	if string(a) != string(b) || string(a) != "NATS/1.0\r\nA: 1\r\nb: 2\r\nb: 3\r\n\r\n" {
		t.Errorf("%q and %q", a, b)
	}
	if c := canonical([]byte("NATS/1.0\r\nA: 1\r\nb: 3\r\nb: 2\r\n\r\n")); string(c) == string(a) {
		t.Error("the order of one name's values is lost")
	}
}

func TestPositionsAreCarriedAsFarAsTheyAreTold(t *testing.T) {
	facts := func(delivered, floor jetstream.SequenceInfo, pending int) *consumerFacts {
		return &consumerFacts{
			Name: "c", Delivered: delivered, AckFloor: floor, NumAckPending: pending,
			known: jetstream.ConsumerConfig{Durable: "c", FilterSubject: "s.1", AckPolicy: jetstream.AckExplicitPolicy},
		}
	}
	run := func(c *consumerFacts) (consumer.State, string) {
		var notes []string
		r := carry(c, settings{}, 100, nil)
		for seq := uint64(1); seq <= 50; seq++ {
			r.see(message(seq), 7)
		}
		r.settle(func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) })
		if _, err := consumer.DecodeState(consumer.AppendState(nil, &r.state)); err != nil {
			t.Errorf("the state %+v is unsound: %v", r.state, err)
		}
		return r.state, strings.Join(notes, "\n")
	}
	st, notes := run(facts(jetstream.SequenceInfo{Consumer: 10, Stream: 19}, jetstream.SequenceInfo{Consumer: 7, Stream: 13}, 3))
	if len(st.Pending) != 3 || st.Pending[0].Seq != 15 || st.Pending[2].DSeq != 10 || st.Delivered.Consumer != 10 || notes != "" {
		t.Errorf("all pending: %+v, %q", st, notes)
	}
	st, notes = run(facts(jetstream.SequenceInfo{Consumer: 10, Stream: 19}, jetstream.SequenceInfo{Consumer: 7, Stream: 13}, 1))
	if len(st.Pending) != 3 || !strings.Contains(notes, "2 of 3 delivered messages are acknowledged") {
		t.Errorf("some pending: %+v, %q", st, notes)
	}
	st, notes = run(facts(jetstream.SequenceInfo{Consumer: 10, Stream: 19}, jetstream.SequenceInfo{Consumer: 7, Stream: 13}, 0))
	if len(st.Pending) != 0 || st.Floor != st.Delivered || notes != "" {
		t.Errorf("none pending: %+v, %q", st, notes)
	}
	if st, _ = run(facts(jetstream.SequenceInfo{Consumer: 200, Stream: 400}, jetstream.SequenceInfo{Consumer: 200, Stream: 400}, 0)); st.Delivered.Stream != 100 || st.Next != 101 {
		t.Errorf("behind the copy's end: %+v", st)
	}
}

func TestSettingsThatCannotBeCarriedAreNamed(t *testing.T) {
	s := &streamFacts{
		Config: []byte(`{"name":"S","num_replicas":3,"placement":{"cluster":"x"},"mirror":{"name":"M"},"mirror_direct":true,"sealed":true,"metadata":{"_nats.level":"1","a":"b"},"new_thing":true,"first_seq":9}`),
		known:  jetstream.StreamConfig{Name: "S", Mirror: &jetstream.StreamSource{Name: "M"}},
	}
	var notes []string
	doc, sealed, err := planStream(s, []string{"new_thing"}, func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) })
	if err != nil || !sealed || len(doc) != 3 || string(doc["num_replicas"]) != "1" || string(doc["metadata"]) != `{"a":"b"}` {
		t.Errorf("%v, sealed %v, %v", doc, sealed, err)
	}
	if all := strings.Join(notes, "\n"); len(notes) != 4 || !strings.Contains(all, "no mirror of M") || !strings.Contains(all, "new_thing") {
		t.Errorf("the notes are\n%s", all)
	}
}

// archived is a snapshot's beginning with one consumer, and a message behind it.
func archived() []byte {
	b := []byte(archiveMagic)
	entry := func(name string, seq uint64, header, data string) {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = binary.AppendVarint(b, 1795273775045046439)
		b = binary.AppendUvarint(b, seq)
		b = binary.AppendUvarint(b, uint64(len(header)))
		b = binary.AppendUvarint(b, uint64(len(data)))
		b = append(b, name+header+data...)
	}
	entry("state.json", 0, "", `{"messages":500}`)
	entry("consumers/c", 0, "", `{"config":{},"state":{"delivered":{"consumer_seq":12,"stream_seq":19},"ack_floor":{"consumer_seq":7,"stream_seq":13},`+
		`"pending":{"15":{"Sequence":8,"Timestamp":5},"19":{"Sequence":10,"Timestamp":6}},"redelivered":{"19":2}}}`)
	entry("s.1", 1, "NATS/1.0\r\n\r\n", "x")
	return b
}

func TestASnapshotTellsWhichMessagesWait(t *testing.T) {
	all, err := readConsumers(bytes.NewReader(archived()))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	c := &consumerFacts{
		Name: "c", Delivered: jetstream.SequenceInfo{Consumer: 12, Stream: 19}, AckFloor: jetstream.SequenceInfo{Consumer: 7, Stream: 13}, NumAckPending: 2, NumRedelivered: 1,
		known: jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy},
	}
	r := carry(c, settings{}, 100, all["c"])
	for seq := uint64(1); seq <= 50; seq++ {
		r.see(message(seq), 7)
	}
	r.settle(func(format string, args ...any) { t.Errorf("it is noted: "+format, args...) })
	want := []consumer.Pending{{Seq: 15, DSeq: 8, Time: 5, Count: 1}, {Seq: 19, DSeq: 10, Time: 6, Count: 3}}
	if !slices.Equal(r.state.Pending, want) || r.state.Delivered.Consumer != 12 {
		t.Errorf("the state is %+v", r.state)
	}
	if _, err := consumer.DecodeState(consumer.AppendState(nil, &r.state)); err != nil {
		t.Error(err)
	}
}

func TestASnapshotOfAnotherFormatIsNoError(t *testing.T) {
	whole := archived()
	for n := range len(whole) - len("s.1NATS/1.0\r\n\r\nx") - 13 {
		if all, err := readConsumers(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("%d bytes give %v", n, all)
		}
	}
	if _, err := readConsumers(strings.NewReader("WEIRBAK1 and so on")); !errors.Is(err, errOtherSnapshot) {
		t.Errorf("another format: %v", err)
	}
	huge := binary.AppendUvarint([]byte(archiveMagic), 5)
	huge = binary.AppendUvarint(append(huge, 0, 0, 0), 1<<62)
	if _, err := readConsumers(bytes.NewReader(huge)); err == nil {
		t.Error("a document of 4 EiB is taken")
	}
}
