package jetstream

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// views gives what a stream holds.
func (r *rig) views(stream string) []record.View {
	r.t.Helper()
	rd := r.Streams.Find("A", stream).Partition().Reader(1)
	defer rd.Close()
	var out []record.View
	for {
		v, err := rd.Next()
		if err != nil {
			return out
		}
		v.Subject, v.Header, v.Data = []byte(string(v.Subject)), []byte(string(v.Header)), []byte(string(v.Data))
		out = append(out, v)
	}
}

// caughtUp says whether copies lack nothing that their origins have.
func (r *rig) caughtUp(streams ...string) bool {
	for _, s := range streams {
		o := r.origins(s)
		if o.Mirror != nil {
			o.Sources = append(o.Sources, *o.Mirror)
		}
		for _, c := range o.Sources {
			if c.Lag > 0 || c.Error != nil || c.Active < 0 {
				return false
			}
		}
	}
	return true
}

// TestCopiesSurviveCrashes publishes to two streams while they are copied, removes
// from them, and kills the node again and again. A copy may lack only what was
// removed from its origin; it has nothing twice, and what a source brings is in
// order.
func TestCopiesSurviveCrashes(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { copiesAndCrashes(t, seed) })
	}
}

func copiesAndCrashes(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t)
	r.stream("O", "o.>", `"first_seq":7`)
	r.stream("P", "p.>")
	r.copied("M", `"mirror":{"name":"O"}`)
	r.copied("F", `"mirror":{"name":"O","filter_subject":"o.1"}`)
	r.copied("S", `"duplicate_window":600000000000,"sources":[{"name":"O"},{"name":"P","subject_transforms":[{"src":"p.*","dest":"q.$1"}]}]`)
	last := map[string]int{}
	removed := map[string]bool{} // by content
	floor := map[string]uint64{} // what was copied and purged
	for round := range 6 {
		for range 30 + rnd.IntN(60) {
			name := []string{"o", "p"}[rnd.IntN(2)]
			last[name]++
			in := streamtest.Send(t, r.space, fmt.Sprintf("%s.%d", name, rnd.IntN(3)), nil, fmt.Appendf(nil, "%s%d", name, last[name]))
			if rnd.IntN(4) == 0 {
				in.Next(t)
			}
			in.Close()
		}
		for _, name := range []string{"O", "P"} {
			have := r.views(name)
			if len(have) == 0 {
				continue
			}
			v := have[rnd.IntN(len(have))]
			removed[string(v.Data)] = true
			r.ok("STREAM.MSG.DELETE."+name, fmt.Sprintf(`{"seq":%d}`, v.Seq))
			if rnd.IntN(4) == 0 {
				below := have[len(have)/3].Seq
				for _, v := range have {
					removed[string(v.Data)] = removed[string(v.Data)] || v.Seq < below
				}
				r.ok("STREAM.PURGE."+name, fmt.Sprintf(`{"seq":%d}`, below))
			}
		}
		if rnd.IntN(3) == 0 {
			r.Checkpoint()
		}
		if rnd.IntN(3) == 0 {
			// What was copied need not be there any more for the copy to go on.
			for _, v := range r.views("S") {
				name, seq := sourceOf(t, &v)
				floor[name] = seq
			}
			r.ok("STREAM.PURGE.S", ``)
			for _, v := range r.views("O") {
				removed["S"+string(v.Data)] = true
			}
			for _, v := range r.views("P") {
				removed["S"+string(v.Data)] = true
			}
		}
		mode := faultfs.Modes[rnd.IntN(len(faultfs.Modes))]
		r = on(t, r.Crash(mode, seed*10+uint64(round)))
		r.checkCopies(removed, floor)
	}
}

// checkCopies waits until all is copied and compares.
func (r *rig) checkCopies(removed map[string]bool, floor map[string]uint64) {
	t := r.t
	t.Helper()
	// One more message of each, for what was lost in the crash is known by then.
	for _, s := range []string{"o.1", "p.1"} {
		if a := r.publish(s, "end"); a.Error != nil {
			t.Fatalf("%+v", a.Error)
		}
	}
	streamtest.Await(t, "all is copied", func() bool { return r.caughtUp("M", "F", "S") })
	origins := map[string][]record.View{"O": r.views("O"), "P": r.views("P")}
	bySeq := map[string]map[uint64]record.View{"O": {}, "P": {}}
	for name, views := range origins {
		for _, v := range views {
			bySeq[name][v.Seq] = v
		}
	}
	for _, mirror := range []string{"M", "F"} {
		have := map[uint64]bool{}
		for _, v := range r.views(mirror) {
			have[v.Seq] = true
			o, ok := bySeq["O"][v.Seq]
			switch {
			case !ok && !removed[string(v.Data)]:
				t.Fatalf("%s has %d %q, which its origin never had", mirror, v.Seq, v.Data)
			case ok && (o.Time != v.Time || string(o.Subject) != string(v.Subject) || string(o.Data) != string(v.Data)):
				t.Fatalf("%s has %+v instead of %+v", mirror, v, o)
			case mirror == "F" && string(v.Subject) != "o.1":
				t.Fatalf("%s has %s", mirror, v.Subject)
			}
		}
		for _, o := range origins["O"] {
			if !have[o.Seq] && (mirror == "M" || string(o.Subject) == "o.1") {
				t.Fatalf("%s lacks %d %q", mirror, o.Seq, o.Data)
			}
		}
	}
	r.checkSources(origins, removed, floor)
}

// checkSources holds the stream of two sources against them.
func (r *rig) checkSources(origins map[string][]record.View, removed map[string]bool, floor map[string]uint64) {
	t := r.t
	t.Helper()
	at := maps.Clone(floor)
	have := map[string]bool{}
	for _, v := range r.views("S") {
		name, seq := sourceOf(t, &v)
		if seq <= at[name] {
			t.Fatalf("%s %d came after %d", name, seq, at[name])
		}
		at[name] = seq
		have[fmt.Sprint(name, seq)] = true
	}
	for name, views := range origins {
		for _, o := range views {
			if !have[fmt.Sprint(name, o.Seq)] && !removed["S"+string(o.Data)] && string(o.Data) != "end" {
				t.Fatalf("S lacks %s %d %q", name, o.Seq, o.Data)
			}
		}
	}
}

// sourceOf reads where a message of a source comes from.
func sourceOf(t *testing.T, v *record.View) (name string, seq uint64) {
	t.Helper()
	_, line, _ := strings.Cut(string(v.Header), "Nats-Stream-Source: ")
	if _, err := fmt.Sscanf(line, "%s %d", &name, &seq); err != nil {
		t.Fatalf("header %q: %v", v.Header, err)
	}
	return name, seq
}
