package roster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

var context = []byte("segment 7")

// build gives a roster of subjects, of which the i-th has sequence i+1.
func build(t testing.TB, subjects []string) *Roster {
	t.Helper()
	var b Builder
	for i, s := range subjects {
		b.Add([]byte(s), uint64(i)+1)
	}
	file := b.Append([]byte("before"), context)[len("before"):]
	if len(file) == 0 {
		return nil
	}
	if len(file) > MaxLen {
		t.Fatalf("roster of %d bytes", len(file))
	}
	r, err := Parse(file, context)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names makes n subjects, of some of them several times, and one without tokens that
// a pattern could stand for.
func names(rng *rand.Rand, n, distinct int) []string {
	out := []string{"odd..one", "*", "a.>", ""}
	for len(out) < n {
		out = append(out, fmt.Sprintf("%c.%d.%d", 'a'+byte(rng.IntN(3)), rng.IntN(distinct), rng.IntN(4)))
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// bounds are those of what a filter stands for in a range, looked for one by one.
func bounds(subjects []string, f *subject.Filter, from, to uint64) (first, last uint64) {
	for i, s := range subjects {
		seq := uint64(i) + 1
		if seq < from || seq > to || !f.MatchesString(s) {
			continue
		}
		if first == 0 {
			first = seq
		}
		last = seq
	}
	return first, last
}

func TestARangeHoldsAllThatTheFilterStandsFor(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, distinct := range []int{1, 20, 500, 5_000} {
		all := names(rng, 3*distinct+20, distinct)
		r := build(t, all)
		if isList := r.list != nil; isList != (distinct <= 20) {
			t.Fatalf("%d subjects are a list: %v", distinct, isList)
		}
		for range 300 {
			f := &subject.Filter{}
			for range rng.IntN(3) {
				p := fmt.Sprintf("%c.%d.%d", 'a'+byte(rng.IntN(4)), rng.IntN(2*distinct), rng.IntN(5))
				f.Patterns = append(f.Patterns, []string{p, p[:1] + ".*.3", p[:len(p)-1] + "*", "*" + p[1:], p[:1] + ".>", ">", "*", "a.>"}[rng.IntN(8)])
			}
			if len(f.Patterns) == 0 || rng.IntN(4) == 0 {
				var some []string
				for range 1 + rng.IntN(5) {
					some = append(some, all[rng.IntN(len(all))]+[]string{"", "", "x"}[rng.IntN(3)])
				}
				f.Names = subject.FilterNamed(some...).Names
			}
			from := 1 + rng.Uint64N(uint64(len(all)))
			to := from + rng.Uint64N(uint64(len(all)))
			wantFirst, wantLast := bounds(all, f, from, to)
			first, last, ok := r.Range(f, from, to)
			switch {
			case !ok && wantFirst != 0:
				t.Fatalf("%v is said not to be in %d to %d; it is at %d", f, from, to, wantFirst)
			case ok && (first < from || last > to || first > last):
				t.Fatalf("%v in %d to %d: %d to %d", f, from, to, first, last)
			case ok && wantFirst != 0 && (first > wantFirst || last < wantLast):
				t.Fatalf("%v is from %d to %d: said is %d to %d", f, wantFirst, wantLast, first, last)
			}
		}
	}
}

// many is for tests of millions of subjects: a race detector takes long over them, and
// there is one goroutine.
func many(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, and many subjects")
	}
}

// A list says where exactly a single subject begins and ends.
func TestAListIsExact(t *testing.T) {
	all := []string{"a.1", "b", "a.2", "a.1", "c"}
	r := build(t, all)
	for _, name := range append(all, "d", "a") {
		first, last := bounds(all, subject.FilterNamed(name), 1, 5)
		for _, f := range []*subject.Filter{subject.FilterNamed(name), subject.FilterOf(name)} {
			gotFirst, gotLast, ok := r.Range(f, 1, 5)
			if ok != (first > 0) || ok && (gotFirst != first || gotLast != last) {
				t.Errorf("%s is at %d to %d: said is %d to %d, %v", name, first, last, gotFirst, gotLast, ok)
			}
		}
	}
}

// Filters are no longer than they need be, and let little through.
func TestFiltersLetLittleThrough(t *testing.T) {
	many(t)
	for _, n := range []int{2_000, 50_000, 400_000} {
		var b Builder
		for i := range n {
			b.Add(fmt.Appendf(nil, "orders.%d.new", i), uint64(i)+1)
		}
		file := b.Append(nil, context)
		r, err := Parse(file, context)
		if err != nil {
			t.Fatal(err)
		}
		if most := 8 * n; len(file) > most {
			t.Errorf("roster of %d subjects has %d bytes", n, len(file))
		}
		wrong := 0
		const tries = 20_000
		for i := range tries {
			name := fmt.Sprintf("orders.%d.new", n+i)
			if _, _, ok := r.Range(subject.FilterNamed(name), 1, 10); ok {
				wrong++
			}
			if _, _, ok := r.Range(subject.FilterOf(name+".*"), 1, 10); ok {
				wrong++
			}
		}
		t.Logf("%d subjects: %d bytes, %.2f %% are let through", n, len(file), 100*float64(wrong)/2/tries)
		if wrong > 2*tries/20 {
			t.Errorf("%d of %d that are not there are let through", wrong, 2*tries)
		}
	}
}

// Where there is no room for what would tell anything there is no roster.
func TestTooManySubjectsHaveNoRoster(t *testing.T) {
	many(t)
	var b Builder
	var name [8]byte
	for i := range uint64(2_000_000) {
		binary.LittleEndian.PutUint64(name[:], i*golden)
		b.Add(name[:], i+1)
	}
	if n := b.Size(); n > 2*mostFilter+8*recentLen+100 {
		t.Errorf("the builder takes %d bytes", n)
	}
	if got := b.Append(nil, context); got != nil {
		t.Fatalf("roster of %d bytes", len(got))
	}
	if r := build(t, nil); r != nil {
		t.Fatal("nothing has a roster")
	}
}

// Subjects of which many have the same tokens keep the filter of tokens, if that of
// whole subjects has to go.
func TestEachFilterIsLeftOutAlone(t *testing.T) {
	many(t)
	var b Builder
	const side = 1100
	for i := range side * side {
		b.Add(fmt.Appendf(nil, "%d.%d", i/side, i%side), uint64(i)+1)
	}
	r, err := Parse(b.Append(nil, context), context)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.subjects) != 0 || len(r.tokens) == 0 {
		t.Fatalf("filters of %d and %d bytes", len(r.subjects), len(r.tokens))
	}
	for f, want := range map[*subject.Filter]bool{
		subject.FilterNamed("3.4"): true, subject.FilterOf("5.*"): true, subject.FilterNamed("x"): true, subject.FilterOf("x.*"): false, subject.FilterOf("x.y"): false,
	} {
		if _, _, ok := r.Range(f, 1, 9); ok != want {
			t.Errorf("%v may be there: %v", f, ok)
		}
	}
}

func TestAddingWhatIsKnownAllocatesNothing(t *testing.T) {
	for _, n := range []int{1, 500, 3_000} {
		var b Builder
		var all [][]byte
		for i := range n {
			all = append(all, fmt.Appendf(nil, "orders.%d.new", i))
			b.Add(all[i], uint64(i))
		}
		i := 0
		if got := testing.AllocsPerRun(1000, func() { b.Add(all[i%n], uint64(i)); i++ }); got > 0 && !raceEnabled {
			t.Errorf("%v allocations for one of %d subjects", got, n)
		}
	}
}

// A roster of any bytes is read or refused; what is read is bounded by them, and is
// written as it was.
func FuzzParse(f *testing.F) {
	for _, n := range []int{1, 9} {
		var b Builder
		for i := range n {
			b.Add(fmt.Appendf(nil, "s.%d", i), uint64(i)+3)
		}
		f.Add(b.Append(nil, context))
	}
	filters := appendHead(nil, formFilters, 64, 128)
	f.Add(append(filters, make([]byte, 192)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= headLen {
			copy(b, magic)
			sum(b, context)
		}
		r, err := Parse(b, context)
		if err != nil {
			if len(b) >= headLen && b[8] == version && (b[9] == formList || b[9] == formFilters) && !errors.Is(err, record.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if r.Size() > int64(4*len(b))+headLen {
			t.Errorf("%d bytes take %d", len(b), r.Size())
		}
		for i := range r.list {
			e := &r.list[i]
			if first, last, ok := r.Range(subject.FilterNamed(e.Subject), 0, ^uint64(0)); !ok || first != e.First || last != e.Last {
				t.Fatalf("%q is not found", e.Subject)
			}
		}
		r.Range(subject.FilterOf("s.*"), 1, 2)
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{1, 500, 10_000, 500_000} {
		b.Run(fmt.Sprintf("subjects=%d", n), func(b *testing.B) {
			all := make([][]byte, n)
			for i := range all {
				all[i] = fmt.Appendf(nil, "orders.%07d.new", i*7919%n)
			}
			var r Builder
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r.Add(all[i%n], uint64(i))
				i++
			}
		})
	}
}
