package timewheel

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

func TestADeadlineIsReportedOnceAtItsTick(t *testing.T) {
	w := New[string](ms, 1000*ms)
	a, b := &Timer[string]{Item: "a"}, &Timer[string]{Item: "b"}
	w.Set(a, 1005*ms-1)
	w.Set(b, 1005*ms+1)
	var got []string
	collect := func(s string) { got = append(got, s) }
	w.Advance(1005*ms-1, collect)
	if len(got) != 0 {
		t.Fatalf("%v before the tick", got)
	}
	w.Advance(1005*ms, collect)
	w.Advance(1006*ms-1, collect)
	if len(got) != 1 || got[0] != "a" || a.Active() || !b.Active() {
		t.Fatalf("%v at the tick", got)
	}
	w.Advance(1e6*ms, collect)
	w.Advance(2e6*ms, collect)
	if len(got) != 2 || w.Len() != 0 {
		t.Fatalf("%v in the end", got)
	}
}

func TestAPastDeadlineWaitsForTheNextAdvance(t *testing.T) {
	w := New[int](ms, 1000*ms)
	timer := &Timer[int]{}
	calls := 0
	again := func(int) {
		calls++
		w.Set(timer, 5)
	}
	w.Set(timer, 5)
	for i := range 3 {
		if next, ok := w.Next(); !ok || next > 1000*ms {
			t.Fatalf("next %d", next)
		}
		w.Advance(1000*ms, again)
		if calls != i+1 {
			t.Fatalf("%d calls after %d advances", calls, i+1)
		}
	}
}

func TestAnItemMayClearAnotherThatIsAboutToFire(t *testing.T) {
	w := New[int](ms, 0)
	timers := make([]Timer[int], 3)
	for i := range timers {
		timers[i].Item = i
		w.Set(&timers[i], 70*ms)
	}
	var got []int
	w.Advance(100*ms, func(i int) {
		got = append(got, i)
		w.Clear(&timers[1])
		w.Set(&timers[2], 90*ms)
	})
	if len(got) < 2 || got[0] != 0 || got[1] != 2 {
		t.Fatalf("fired %v", got)
	}
}

func TestFarDeadlinesAreKept(t *testing.T) {
	w := New[int](1, 0)
	a, b := &Timer[int]{Item: 1}, &Timer[int]{Item: 2}
	w.Set(a, math.MaxInt64)
	w.Set(b, 1<<62)
	var got []int
	for steps := 0; w.Len() > 0; steps++ {
		next, ok := w.Next()
		if !ok || steps > 100 {
			t.Fatalf("%d timers left after %d steps", w.Len(), steps)
		}
		w.Advance(next, func(i int) { got = append(got, i) })
	}
	if len(got) != 2 || got[0] != 2 {
		t.Fatalf("fired %v", got)
	}
}

// TestWheelEqualsTheModel sets, clears and advances at random and compares with
// a plain map of deadlines.
func TestWheelEqualsTheModel(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		tick := []int64{1, ms, 7, 1000}[seed%4]
		now := rnd.Int64N(1 << 50)
		w := New[int](tick, now)
		timers := make([]Timer[int], 300)
		model := map[int]int64{}
		for i := range timers {
			timers[i].Item = i
		}
		for range 5000 {
			i := rnd.IntN(len(timers))
			switch rnd.IntN(4) {
			case 0, 1:
				d := now + rnd.Int64N(tick<<rnd.IntN(30)+2) - tick
				w.Set(&timers[i], d)
				model[i] = d
			case 2:
				w.Clear(&timers[i])
				delete(model, i)
			case 3:
				now += rnd.Int64N(tick<<rnd.IntN(20) + 1)
				advance(t, w, model, now, tick)
			}
			if w.Len() != len(model) || timers[i].Active() != (model[i] != 0) {
				t.Fatalf("seed %d: %d timers, want %d", seed, w.Len(), len(model))
			}
		}
	}
}

func advance(t *testing.T, w *Wheel[int], model map[int]int64, now, tick int64) {
	t.Helper()
	w.Advance(now, func(i int) {
		d, ok := model[i]
		if !ok || d > now {
			t.Fatalf("item %d with deadline %d fired at %d", i, d, now)
		}
		delete(model, i)
	})
	earliest := int64(math.MaxInt64)
	for i, d := range model {
		if (d+tick-1)/tick*tick <= now {
			t.Fatalf("item %d with deadline %d did not fire at %d", i, d, now)
		}
		earliest = min(earliest, (d+tick-1)/tick*tick)
	}
	next, ok := w.Next()
	if ok != (len(model) > 0) || (ok && next > earliest) {
		t.Fatalf("next %d, earliest %d", next, earliest)
	}
}

func TestSettingAllocatesNothing(t *testing.T) {
	w := New[int](ms, 0)
	timers := make([]Timer[int], 1000)
	now := int64(0)
	if n := testing.AllocsPerRun(20, func() {
		for i := range timers {
			w.Set(&timers[i], now+int64(i)*ms)
		}
		now += 500 * ms
		w.Advance(now, func(int) {})
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkSetAmong100000(b *testing.B) {
	w := New[int](ms, 0)
	timers := make([]Timer[int], 100_000)
	for i := range timers {
		w.Set(&timers[i], 30000*ms+int64(i)*1000)
	}
	now, i := int64(0), 0
	for b.Loop() {
		now += 300
		w.Set(&timers[i%len(timers)], now+30000*ms)
		if i++; i%1000 == 0 {
			w.Advance(now, func(int) {})
		}
	}
}
