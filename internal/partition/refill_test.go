package partition

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// refill proposes records given as seq:subject=data, each at its sequence's time.
func (r *rig) refill(records string) (done *bool) {
	r.t.Helper()
	var a record.Area
	var places []record.Place
	for _, s := range strings.Fields(records) {
		var seq uint64
		at, rest, _ := strings.Cut(s, ":")
		subject, data, _ := strings.Cut(rest, "=")
		if _, err := fmt.Sscan(at, &seq); err != nil {
			r.t.Fatal(err)
		}
		a.Append(&record.Parts{Subject: []byte(subject), Data: []byte(data)})
		places = append(places, record.Place{Seq: seq, Time: int64(seq) * 100})
	}
	done = new(bool)
	if err := r.p.Refill(&a, places, func(err error) { *done = err == nil }); err != nil {
		r.t.Fatal(err)
	}
	return done
}

func (r *rig) wantStatus(want Status) {
	r.t.Helper()
	got := r.p.Status()
	got.Bytes = 0
	if got != want {
		r.t.Fatalf("status %+v, want %+v", got, want)
	}
}

func TestARefilledLogKeepsSequencesTimesAndGaps(t *testing.T) {
	r := newRig(t, Limits{})
	first := r.refill("7:a=1 8:b=2 12:a=3")
	second := r.refill("13:c=4 20:a=5")
	if *first || *second {
		t.Fatal("done before it is durable")
	}
	r.sync()
	if !*first || !*second {
		t.Fatal("not told when it is")
	}
	ended := false
	if err := r.p.RefillEnd(30, 9999, func(err error) { ended = err == nil }); err != nil {
		t.Fatal(err)
	}
	r.sync()
	check := func(r *rig) {
		t.Helper()
		r.wantSeqs("7:a=1 8:b=2 12:a=3 13:c=4 20:a=5")
		r.wantStatus(Status{First: 7, Last: 30, Records: 5, Deleted: 19, Subjects: 3, LastTime: 9999})
		if v, err := r.p.Get(12); err != nil || v.Time != 1200 {
			t.Fatalf("%+v, %v", v, err)
		}
		if v, err := r.p.LastOf("a"); err != nil || v.Seq != 20 {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if check(r); !ended {
		t.Fatal("the end was not told")
	}
	// The same from the journal.
	again := openRig(t, Limits{}, &memStore{})
	for _, e := range r.log {
		if err := again.p.Apply(Entry{Index: e.index, Term: e.term, Kind: record.Kind(e.kind), Data: e.data}); err != nil {
			t.Fatal(err)
		}
	}
	check(again)
	r.publish(5, msg{subject: "a", data: "6"}) // a clock that is behind
	r.sync()
	if v, err := r.p.Get(31); err != nil || v.Time != 9999 {
		t.Fatalf("the next record: %+v, %v", v, err)
	}
}

func TestLimitsHoldForWhatIsRefilled(t *testing.T) {
	r := newRig(t, Limits{MaxPerSubject: 1})
	r.refill("1:a=1 5:b=2 6:a=3 9:b=4")
	r.sync()
	r.wantSeqs("6:a=3 9:b=4")
	r = newRig(t, Limits{MaxRecords: 2})
	r.refill("1:a=1 5:b=2 6:a=3 9:b=4")
	r.sync()
	r.wantSeqs("6:a=3 9:b=4")
}

func TestAnEmptyLogIsRefilledToItsLastSequence(t *testing.T) {
	r := newRig(t, Limits{})
	if err := r.p.RefillEnd(100, 50, func(error) {}); err != nil {
		t.Fatal(err)
	}
	r.sync()
	r.wantStatus(Status{First: 101, Last: 100, LastTime: 50})
	r.publish(60, msg{subject: "a", data: "x"})
	r.sync()
	r.wantSeqs("101:a=x")
}

func TestACutShowsWhatWasLiveAndKeepsItInTheStore(t *testing.T) {
	r := newRig(t, Limits{MaxPerSubject: 2})
	for i := range 6 {
		r.publish(int64(i), msg{subject: fmt.Sprint("s", i%2), data: fmt.Sprint(i)})
	}
	r.sync()
	want := r.seqs()
	c := r.p.Cut()
	for i := range 6 {
		r.publish(int64(10+i), msg{subject: fmt.Sprint("s", i%2), data: "later"})
	}
	if _, err := r.p.TrimAll(func(error) {}); err != nil {
		t.Fatal(err)
	}
	r.sync()
	var got []string
	for {
		v, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d:%s=%s", v.Seq, v.Subject, v.Data))
	}
	if s := strings.Join(got, " "); s != want || s == "" {
		t.Fatalf("%s, want %s", s, want)
	}
	if r.store.first > c.First {
		t.Fatalf("the store begins at %d, the cut at %d", r.store.first, c.First)
	}
	c.Close()
	if r.store.first != r.p.First() {
		t.Fatalf("after the cut the store begins at %d, the log at %d", r.store.first, r.p.First())
	}
}
