package consumer

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// sample is a state with a little of everything, and the records that led to it.
func sample(t testing.TB) (State, [][]byte) {
	t.Helper()
	src := &stored{}
	for seq := range uint64(40) {
		src.add(seq+1, 10)
	}
	c := New(Config{AckWait: 1000, MaxDeliver: 2}, StartAt(1))
	var records [][]byte
	var out Output
	now := epoch
	step := func() {
		c.Step(now, src, everyone, &out)
		if len(out.Changes) > 0 {
			records = append(records, slices.Clone(out.Changes))
		}
	}
	c.Request(Request{Reply: "A", Batch: 20}, now)
	step()
	for _, seq := range []uint64{1, 2, 3, 7, 12} {
		c.Ack(Ack{Seq: seq, DSeq: seq}, now)
	}
	c.Ack(Ack{Kind: Nak, Seq: 5, DSeq: 5, Delay: 90}, now)
	c.Removed(5, 9)
	step()
	now += 1000
	c.Request(Request{Reply: "A", Batch: 6}, now)
	step()
	now += 1000
	step()
	return c.State(), records
}

func TestStateRefusesDamage(t *testing.T) {
	st, _ := sample(t)
	if len(st.Pending) == 0 || st.Exhausted.Count() == 0 {
		t.Fatalf("sample %+v", st)
	}
	good := AppendState(nil, &st)
	for i := range good {
		if _, err := DecodeState(good[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d bytes of %d: %v", i, len(good), err)
		}
	}
	if _, err := DecodeState(append(slices.Clone(good), 0)); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a byte too many: %v", err)
	}
	for name, bad := range map[string]State{
		"floor above delivered":   {Floor: Position{0, 5}, Delivered: Position{0, 4}, Next: 5},
		"next not behind":         {Delivered: Position{0, 4}, Next: 4},
		"pending below the floor": {Floor: Position{1, 4}, Delivered: Position{5, 9}, Next: 10, Pending: []Pending{{Seq: 4, DSeq: 2, Count: 1}}},
		"pending not delivered":   {Delivered: Position{5, 9}, Next: 10, Pending: []Pending{{Seq: 10, DSeq: 2, Count: 1}}},
		"pending out of order":    {Delivered: Position{5, 9}, Next: 10, Pending: []Pending{{Seq: 3, DSeq: 2, Count: 1}, {Seq: 3, DSeq: 3, Count: 1}}},
		"pending never delivered": {Delivered: Position{5, 9}, Next: 10, Pending: []Pending{{Seq: 3, DSeq: 2}}},
	} {
		if _, err := DecodeState(AppendState(nil, &bad)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedChangeHasNoEffect(t *testing.T) {
	_, records := sample(t)
	r := NewReplica(StartAt(1))
	before := r.State()
	acked := func(seq uint64) { t.Fatalf("%d is acknowledged", seq) }
	rec := records[1]
	for i := range len(rec) - 1 {
		cut := NewReplica(StartAt(1))
		if err := cut.Apply(rec[:i+1], func(uint64) {}); err == nil {
			continue // cut between two facts, which the journal's checksum tells
		} else if !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		sameState(t, "after a damaged record", before, cut.State())
	}
	for _, b := range [][]byte{
		nil, {2, 1}, {1}, {1, 1, 99}, {1, 1, factDelivered, 2, 2, 0, 0},
		{1, 1, factDelivered, 2, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0},          // too many
		{1, 1, factRedelivered, 2, 2, 1, 0},                                   // a first delivery
		append([]byte{1, 1}, bytes.Repeat([]byte{factAcked, 2, 1}, 8)[:7]...), // cut
	} {
		if err := r.Apply(b, acked); !errors.Is(err, ErrDamaged) {
			t.Errorf("%x: %v", b, err)
		}
	}
	sameState(t, "after damaged records", before, r.State())
}

func TestReplicaKnowsWhatIsNeeded(t *testing.T) {
	st, records := sample(t)
	r := NewReplica(StartAt(1))
	for _, rec := range records {
		if err := r.Apply(rec, func(uint64) {}); err != nil {
			t.Fatal(err)
		}
	}
	sameState(t, "state", st, r.State())
	given, _ := st.Exhausted.First()
	for seq, want := range map[uint64]bool{1: false, 7: false, given: true, st.Pending[0].Seq: true, 1000: true} {
		if r.Needs(seq) != want {
			t.Errorf("needs %d: %v", seq, !want)
		}
	}
	if d, f := r.Progress(); d != st.Delivered || f != st.Floor {
		t.Errorf("progress %v %v", d, f)
	}
}

func TestRecordsOfRunsAreSmall(t *testing.T) {
	c := New(Config{}, StartAt(1))
	src, out := &endless{}, &Output{}
	round(c, src, out, epoch, 1000)
	size := len(out.Changes)
	c.Step(epoch, src, everyone, out)
	if size += len(out.Changes); size > 64 {
		t.Errorf("%d bytes for 1000 messages delivered and acknowledged", size)
	}
}

func FuzzDecodeState(f *testing.F) {
	st, _ := sample(f)
	f.Add(AppendState(nil, &st))
	fresh := StartAt(7)
	f.Add(AppendState(nil, &fresh))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := DecodeState(b)
		if err != nil {
			return
		}
		c := New(Config{MaxDeliver: 3}, st)
		if len(st.Pending) == 0 {
			st.Floor = st.Delivered
		}
		sameState(t, "decoded and live", st, c.State())
		var out Output
		c.Request(Request{Reply: "A", Batch: 5}, epoch)
		c.Step(epoch, &endless{last: min(st.Delivered.Stream+3, 1<<63)}, everyone, &out)
		c.check(t)
	})
}

func FuzzApplyChange(f *testing.F) {
	_, records := sample(f)
	for _, r := range records {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReplica(StartAt(1))
		for _, rec := range [][]byte{records[0], b} {
			if err := r.Apply(rec, func(uint64) {}); err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
		}
		if _, err := DecodeState(r.AppendState(nil)); err != nil {
			t.Fatalf("state %+v after %x: %v", r.State(), b, err)
		}
	})
}
