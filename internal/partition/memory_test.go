package partition

import (
	"fmt"
	"runtime"
	"testing"
)

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A subject that changed since a checkpoint takes at most 100 bytes beside its
// name, those that are gone included, wherever the table stands in its growth.
func TestAChangedSubjectTakesLittleMemory(t *testing.T) {
	for _, gone := range []bool{false, true} {
		var s subjects
		before := heapBytes()
		s.init(&Limits{MaxPerSubject: 1})
		s.active.whole = false
		names := int64(0)
		for i := 1; i <= 130_000; i++ {
			name := fmt.Appendf(nil, "orders.%07d.item.%08x", i, i*7919)
			names += int64(len(name))
			if known := (&entry{name: string(name)}); gone {
				s.loaded.put(known)
			}
			e := s.own(name)
			s.count(e, uint64(i))
			if gone {
				s.remove(name, uint64(i))
			}
			if i%13_000 == 0 {
				if each := float64(heapBytes()-before-names) / float64(i); each > 100 {
					t.Errorf("%d subjects, gone %v: %.0f bytes each beside the name", i, gone, each)
				} else if testing.Verbose() {
					t.Logf("%d subjects, gone %v: %.0f bytes each beside the name", i, gone, each)
				}
			}
		}
		runtime.KeepAlive(&s)
	}
}

func TestSubjectsThatWaitForACheckpointAreTold(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 3*toldEvery)
	if n := r.index.held.Load(); n < 2*toldEvery {
		t.Fatalf("%d are told", n)
	}
	r.checkpoint()
	if n := r.index.held.Load(); n != 0 {
		t.Fatalf("%d are told after a checkpoint", n)
	}
	if _, err := r.p.Trim(2*toldEvery, nil); err != nil {
		t.Fatal(err)
	}
	r.sync()
	if n := r.index.held.Load(); n != 2*toldEvery-1 {
		t.Fatalf("%d are told that are gone", n)
	}
}

func TestUnchangedSubjectsLeaveMemory(t *testing.T) {
	r := newPagedRig(t, Limits{})
	const n = 3 * maxLoaded
	r.fill(0, n)
	r.checkpoint()
	r.quiet = false
	wrong := Conditions{HasOfSubj: true, LastOf: n + 1}
	for i := range n {
		r.told = nil
		r.publish(2, msg{subject: fmt.Sprintf("fill.%06d", i), cond: wrong})
		r.wantTold(fmt.Sprintf("%d/0/%d local", WrongLastOfSubject, i+1))
		if held := r.p.subjects.loaded.len() + r.p.subjects.active.len(); held > maxLoaded+1 {
			t.Fatalf("%d subjects are in memory", held)
		}
	}
}

func TestSubjectsOfOneHashAreToldApart(t *testing.T) {
	tab := table{coarse: ^uint64(3)}
	const n = 50
	name := func(i int) []byte { return fmt.Appendf(nil, "s.%d", i) }
	for i := range n {
		tab.put(&entry{name: string(name(i)), count: uint64(i)})
	}
	for i := 0; i < n; i += 3 {
		tab.remove(name(i))
		tab.remove(name(i))
	}
	for i := 0; i < n; i += 6 {
		tab.put(&entry{name: string(name(i)), count: 1000})
		tab.put(&entry{name: string(name(i)), count: 1001})
	}
	want := 0
	for i := range n {
		e := tab.find(name(i))
		switch {
		case i%6 == 0:
			want++
			if e == nil || e.count != 1001 {
				t.Errorf("%d: %+v", i, e)
			}
		case i%3 == 0:
			if e != nil {
				t.Errorf("%d is still there", i)
			}
		default:
			want++
			if e == nil || e.count != uint64(i) {
				t.Errorf("%d: %+v", i, e)
			}
		}
	}
	seen := map[string]bool{}
	for e := range tab.matching("s.*") {
		seen[e.name] = true
	}
	if len(seen) != want || tab.len() != want {
		t.Errorf("%d are visited, %d counted, there are %d", len(seen), tab.len(), want)
	}
}
