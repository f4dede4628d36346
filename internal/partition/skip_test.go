package partition

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// skipStore knows of each run of skipRun sequences whether its subjects are there. It
// does not know of the last ones, nor of every fifth run, and goes over few at a call.
type skipStore struct {
	*memStore
	calls int
}

const skipRun = 7

func (s *skipStore) Skip(f *subject.Filter, from uint64) (first, last uint64) {
	s.calls++
	for range 3 {
		run := from / skipRun
		last = run*skipRun + skipRun - 1
		if first, last, ok := s.of(f, from, last); ok {
			return first, last
		}
		from = last + 1
	}
	return from, from - 1
}

func (s *skipStore) SkipBack(f *subject.Filter, upTo uint64) (first, last uint64, ok bool) {
	s.calls++
	for upTo = min(upTo, s.Last()); upTo >= max(s.first, 1); {
		low := max(upTo/skipRun*skipRun, s.first, 1)
		if first, last, ok = s.of(f, low, upTo); ok {
			return first, last, ok
		}
		upTo = low - 1
	}
	return 0, 0, false
}

// of narrows a range of one run.
func (s *skipStore) of(f *subject.Filter, from, to uint64) (first, last uint64, ok bool) {
	if from/skipRun%5 == 0 || to+10 > s.Last() {
		return from, to, true
	}
	for c := s.Cursor(from); ; {
		v, err := c.Next()
		if err != nil || v.Seq > to {
			return first, last, ok
		}
		if f.Matches(v.Subject) {
			if last = v.Seq; !ok {
				first, ok = v.Seq, true
			}
		}
	}
}

// visible reads all, without passing over anything.
func visible(t *testing.T, p *Partition) (seqs []uint64, subjects []string) {
	t.Helper()
	r := p.Reader(0)
	defer r.Close()
	for {
		v, err := r.Next()
		if errors.Is(err, io.EOF) {
			return seqs, subjects
		}
		if err != nil {
			t.Fatal(err)
		}
		seqs, subjects = append(seqs, v.Seq), append(subjects, string(v.Subject))
	}
}

// With a store that knows where subjects are, and with one that does not, the same is
// found as by looking at each record.
func TestLookingForSubjectsFindsWhatReadingAllFinds(t *testing.T) {
	for _, skips := range []bool{true, false} {
		calls := 0
		for seed := range uint64(histories) {
			store := &skipStore{memStore: &memStore{}}
			r := openRig(t, Limits{MaxPerSubject: int64(seed % 3 * 5)}, store.memStore)
			r.quiet = true
			if skips {
				r.p.store = store
			}
			rng := rand.New(rand.NewPCG(seed, 9))
			name := func() string { return fmt.Sprintf("%c.%d", 'a'+byte(rng.IntN(3)), rng.IntN(1+rng.IntN(30))) }
			for range 40 {
				for range rng.IntN(12) {
					r.publish(1, msg{subject: name()})
				}
				r.sync()
				if rng.IntN(3) == 0 {
					remove(t, r, rng)
				}
				compareLooks(t, r.p, name(), rng)
			}
			calls += store.calls
		}
		if skips != (calls > 0) {
			t.Errorf("the store is asked %d times", calls)
		}
	}
}

// remove removes some records, the newest of subjects among them.
func remove(t *testing.T, r *rig, rng *rand.Rand) {
	t.Helper()
	var gone Removal
	if rng.IntN(5) == 0 {
		gone.Below = r.p.First() + rng.Uint64N(8)
	}
	for range rng.IntN(10) {
		gone.Set.Add(1 + rng.Uint64N(r.p.Committed()+1))
	}
	if err := r.p.ProposeRemoval(&gone, func(error) {}); err != nil {
		t.Fatal(err)
	}
	r.sync()
}

func compareLooks(t *testing.T, p *Partition, name string, rng *rand.Rand) {
	t.Helper()
	seqs, subjects := visible(t, p)
	from := rng.Uint64N(p.Committed() + 2)
	for _, pattern := range []string{name, name[:1] + ".*", "*" + name[1:], ">", "none." + name} {
		f := subject.FilterOf(pattern)
		var all []uint64
		last := map[string]uint64{}
		for i, seq := range seqs {
			if f.MatchesString(subjects[i]) {
				all = append(all, seq)
				if seq <= from {
					last[subjects[i]] = seq
				}
			}
		}
		at, _ := slices.BinarySearch(all, from)
		v, err := p.NextOf(pattern, from)
		if found := err == nil; found != (at < len(all)) || found && v.Seq != all[at] || !found && !errors.Is(err, ErrNotFound) {
			t.Fatalf("%s from %d: %d, %v, of %d", pattern, from, v.Seq, err, all)
		}
		v, err = p.LastOf(pattern)
		if found := err == nil; found != (len(all) > 0) || found && v.Seq != all[len(all)-1] {
			t.Fatalf("last of %s: %d, %v, of %d", pattern, v.Seq, err, all)
		}
		if got, err := p.SequencesOf(pattern, from+1); err != nil {
			t.Fatal(err)
		} else if n, _ := slices.BinarySearch(all, from+1); from > 0 && !slices.Equal(got, all[:n]) {
			t.Fatalf("%s up to %d: %d, %v, of %d", pattern, from, got, err, all)
		}
		want := []uint64{}
		for _, seq := range last {
			want = append(want, seq)
		}
		slices.Sort(want)
		if got := p.LastSequences([]string{pattern}, from, 100); !slices.Equal(got, want) {
			t.Fatalf("last of each of %s up to %d: %d, not %d", pattern, from, got, want)
		}
		if got := readOf(t, p, f, from); !slices.Equal(got, all[at:]) {
			t.Fatalf("read of %s from %d: %d, not %d", pattern, from, got, all[at:])
		}
	}
}

// readOf reads with a filter, now and then only as far as little effort goes.
func readOf(t *testing.T, p *Partition, f *subject.Filter, from uint64) (seqs []uint64) {
	t.Helper()
	r := p.ReaderOf(f, from)
	defer r.Close()
	for {
		if r.Skip() {
			if r.Position() > p.Committed() {
				t.Fatal("there is more to pass over behind the end")
			}
			continue
		}
		v, err := r.Next()
		if errors.Is(err, io.EOF) {
			if r.Position() > p.Committed()+1 {
				t.Fatalf("the reader is at %d, behind %d", r.Position(), p.Committed())
			}
			return seqs
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Matches(v.Subject) {
			seqs = append(seqs, v.Seq)
		}
	}
}

// A reader that came to the end by passing over all gives what comes later, and goes
// back when it is told to.
func TestAReaderOfFewSubjectsSeesWhatComesLater(t *testing.T) {
	store := &skipStore{memStore: &memStore{}}
	r := openRig(t, Limits{}, store.memStore)
	r.quiet = true
	r.p.store = store
	for range 100 {
		r.publish(1, msg{subject: "often"})
	}
	r.sync()
	f := subject.FilterOf("rare")
	rd := r.p.ReaderOf(f, 1)
	defer rd.Close()
	next := func() (record.View, error) {
		for {
			if v, err := rd.Next(); err != nil || f.Matches(v.Subject) {
				return v, err
			}
		}
	}
	if _, err := next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	r.publish(1, msg{subject: "often"}, msg{subject: "rare"})
	r.sync()
	for range 2 {
		if v, err := next(); err != nil || v.Seq != 102 {
			t.Fatalf("%d, %v", v.Seq, err)
		}
		rd.Seek(3)
	}
}
