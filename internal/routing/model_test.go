package routing

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirmq/weir/internal/subject"
)

// model is a table as a list, in the order of insertion.
type model []entry

type entry struct {
	pattern, queue string
	v              int
}

func (m model) match(s string) string {
	var r Result[int]
	for _, e := range m {
		if !subject.Match(e.pattern, s) {
			continue
		}
		if e.queue == "" {
			r.Plain = append(r.Plain, e.v)
			continue
		}
		i, found := slices.BinarySearchFunc(r.Queues, e.queue, func(q Queue[int], name string) int {
			if q.Name < name {
				return -1
			}
			if q.Name > name {
				return 1
			}
			return 0
		})
		if !found {
			r.Queues = slices.Insert(r.Queues, i, Queue[int]{Name: e.queue})
		}
		r.Queues[i].Members = append(r.Queues[i].Members, e.v)
	}
	return show(&r)
}

// vary gives a random row of tokens; wild ones are in it where patterns are wanted.
func vary(r *rand.Rand, tokens, wild []string) string {
	s := ""
	for n := 1 + r.IntN(4); n > 0; n-- {
		if s != "" {
			s += "."
		}
		if len(wild) > 0 && r.IntN(3) == 0 {
			if s += wild[r.IntN(len(wild))]; s[len(s)-1] == '>' {
				return s
			}
			continue
		}
		s += tokens[r.IntN(len(tokens))]
	}
	return s
}

func TestTableAgreesWithAList(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			tokens := []string{"a", "b", "c", "d", "e", "f", "g"}[:2+r.IntN(6)]
			table := New[int]()
			var list model
			for range 1000 {
				e := entry{vary(r, tokens, []string{"*", ">"}), []string{"", "", "q", "p"}[r.IntN(4)], r.IntN(60)}
				if grow := len(list) < 20 || len(list) < 400 && r.IntN(2) == 0; !grow {
					e = list[r.IntN(len(list))]
				}
				toggle(t, table, &list, e)
				s := vary(r, append(tokens, "*", ">", "", "zz"), nil)
				before, upTo := table.MatchUpTo([]byte(s))
				want := list.match(s)
				if got := show(before); got != want {
					t.Fatalf("%q: matched %s, want %s", s, got, want)
				}
				checkPrefix(t, list, before, s, append(tokens, "zz", "*"))
				checkUpTo(t, list, before, s, upTo, r, append(tokens, "zz", "*"))
			}
			for len(list) > 0 {
				toggle(t, table, &list, list[r.IntN(len(list))])
			}
			if !table.root.empty() || table.root.ends != 0 {
				t.Errorf("removing everything left %+v", &table.root)
			}
		})
	}
}

// toggle adds e where it is not there and removes it where it is, in both.
func toggle(t *testing.T, table *Table[int], list *model, e entry) {
	t.Helper()
	g := table.Generation()
	if i := slices.Index(*list, e); i >= 0 {
		*list = slices.Delete(*list, i, i+1)
		if !table.Remove(e.pattern, e.queue, e.v) {
			t.Fatalf("%+v is not there", e)
		}
	} else {
		*list = append(*list, e)
		table.Add(e.pattern, e.queue, e.v)
	}
	if table.Generation() == g || table.Len() != len(*list) {
		t.Fatalf("after %+v: generation %d as before %d, %d values of %d", e, table.Generation(), g, table.Len(), len(*list))
	}
}

// checkPrefix holds a result that is free of the last token against all subjects
// that differ in it.
func checkPrefix(t *testing.T, list model, r *Result[int], s string, tokens []string) {
	t.Helper()
	prefix, ok := Prefix([]byte(s))
	if !ok || !r.LastTokenFree {
		return
	}
	for _, token := range tokens {
		if other := string(prefix) + token; list.match(other) != show(r) {
			t.Fatalf("%q matched %s and was free of its last token, but %q matches %s", s, show(r), other, list.match(other))
		}
	}
}

// checkUpTo holds a result for which a part of the subject counted against subjects
// that have other tokens behind it.
func checkUpTo(t *testing.T, list model, r *Result[int], s string, upTo int, random *rand.Rand, tokens []string) {
	t.Helper()
	if upTo == len(s) {
		return
	}
	if upTo > 0 && s[upTo-1] != '.' {
		t.Fatalf("%q is looked at up to %d", s, upTo)
	}
	for range 8 {
		other := s[:upTo] + tokens[random.IntN(len(tokens))]
		for range random.IntN(4) {
			other += "." + tokens[random.IntN(len(tokens))]
		}
		if got := list.match(other); got != show(r) {
			t.Fatalf("%q matched %s and was looked at up to %d, but %q matches %s", s, show(r), upTo, other, got)
		}
	}
}

// A cache that loads the generation first is never behind it: once an Add has
// returned, an entry of the present generation shows what was added. Each change
// waits until every reader has looked, since the next one would cover a stale entry.
func TestCacheUnderAGenerationIsNeverBehindIt(t *testing.T) {
	const changes, readers = 2000, 2
	patterns := []string{"foo.bar", "foo.*", ">"}
	table := New[int]()
	var added atomic.Int64 // what was added last
	var looked [readers]atomic.Int64
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			var cached *Result[int]
			var under uint64
			for least := 0; least < changes; looked[r].Store(int64(least)) {
				least = int(added.Load())
				if g := table.Generation(); cached == nil || g != under {
					under, cached = g, table.Match([]byte("foo.bar"))
				}
				if last := cached.Plain; least > 0 && (len(last) == 0 || last[len(last)-1] < least) {
					t.Errorf("%d was added, and generation %d still shows %v", least, under, last)
					looked[r].Store(changes)
					return
				}
				if int(looked[r].Load()) == least {
					runtime.Gosched() // nothing new: let the writer go on
				}
			}
		})
	}
	for i := 1; i <= changes && !t.Failed(); i++ {
		table.Add(patterns[i%3], "", i)
		added.Store(int64(i))
		for r := range looked {
			for looked[r].Load() < int64(i) {
				runtime.Gosched()
			}
		}
		table.Remove(patterns[i%3], "", i-9)
	}
	added.Store(changes)
	wg.Wait()
}

func TestReadersAndWritersMayWorkAtOnce(t *testing.T) {
	table := New[int]()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				p := fmt.Sprintf("s.%d.*", i%50)
				table.Add(p, "", w)
				table.Add(p, "q", w)
				if r := table.Match(fmt.Appendf(nil, "s.%d.x", i%50)); !slices.Contains(r.Plain, w) {
					t.Errorf("%s: %v lacks %d, which was just added", p, r.Plain, w)
				}
				table.Remove(p, "", w)
				table.Remove(p, "q", w)
			}
		})
	}
	wg.Wait()
	if table.Len() != 0 || !table.root.empty() {
		t.Errorf("%d values left", table.Len())
	}
}
