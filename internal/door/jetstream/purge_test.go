package jetstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// TestEveryMatchDelivered purges by subject, by sequence and all but some, at random
// moments: a consumer gets each message that matches its filter, once and in order,
// but for those that went before it came to them. What a purge of other subjects
// leaves it is not skipped, nor delivered twice.
func TestEveryMatchDelivered(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { purgeHistory(t, seed) })
	}
}

// purged is what each consumer is still to get.
type purged struct {
	r        *rig
	rnd      *rand.Rand
	last     uint64
	subjects map[uint64]int // of what is stored
	wants    [][]uint64     // by consumer: c0 to c2 want one subject each, c3 all
}

func purgeHistory(t *testing.T, seed uint64) {
	p := &purged{r: newRig(t), rnd: rand.New(rand.NewPCG(seed, 40)), subjects: map[uint64]int{}, wants: make([][]uint64, 4)}
	p.r.stream("S", "s.>")
	for i := range 3 {
		p.r.consumer("S", fmt.Sprint("c", i), `"ack_policy":"none"`, fmt.Sprintf(`"filter_subject":"s.%d"`, i))
	}
	p.r.consumer("S", "c3", `"ack_policy":"none"`)
	for range 120 {
		switch k := p.rnd.IntN(20); {
		case k < 9:
			p.publish()
		case k < 15:
			p.fetch(p.rnd.IntN(4), 1+p.rnd.IntN(4))
		case k < 19:
			p.purge()
		default:
			p.r.Checkpoint()
			p.r = on(t, p.r.Crash([]faultfs.Mode{faultfs.KeepAll, faultfs.TornLast}[p.rnd.IntN(2)], p.rnd.Uint64()))
			p.afterCrash()
		}
	}
	for i := range p.wants {
		p.fetch(i, 1000)
		if len(p.wants[i]) > 0 {
			t.Fatalf("c%d never got %v", i, p.wants[i])
		}
	}
}

func (p *purged) publish() {
	p.last++
	on := p.rnd.IntN(3)
	p.r.stored(p.last, fmt.Sprint("s.", on), fmt.Sprint(p.last))
	p.subjects[p.last] = on
	p.wants[on] = append(p.wants[on], p.last)
	p.wants[3] = append(p.wants[3], p.last)
}

func (p *purged) fetch(i, n int) {
	p.r.t.Helper()
	var got []uint64
	for _, m := range p.r.fetch("S", fmt.Sprint("c", i), n) {
		got = append(got, ackedSeq(p.r.t, m))
	}
	want := p.wants[i][:min(n, len(p.wants[i]))]
	if !slices.Equal(got, want) {
		p.r.t.Fatalf("c%d got %v, want %v", i, got, want)
	}
	p.wants[i] = p.wants[i][len(want):]
}

// afterCrash takes what may have been lost of the consumers' progress into account:
// the checkpoint has it up to the last word of the shard.
func (p *purged) afterCrash() {
	for i := range p.wants {
		at := p.r.info("S", fmt.Sprint("c", i)).Delivered.StreamSeq
		var again []uint64
		for seq := at + 1; seq <= p.last; seq++ {
			if on, stored := p.subjects[seq]; stored && (i == 3 || i == on) {
				again = append(again, seq)
			}
		}
		if len(again) < len(p.wants[i]) {
			p.r.t.Fatalf("c%d is at %d after a crash and has skipped some of %v", i, at, p.wants[i])
		}
		p.wants[i] = again
	}
}

func (p *purged) purge() {
	on, below, keep := p.rnd.IntN(3), 1+p.rnd.Uint64N(p.last+2), 1+p.rnd.IntN(3)
	var body string
	var gone func(seq uint64) bool
	switch p.rnd.IntN(6) {
	case 0, 1:
		body = fmt.Sprintf(`{"filter":"s.%d"}`, on)
		gone = func(seq uint64) bool { return p.subjects[seq] == on }
	case 2:
		body = fmt.Sprintf(`{"filter":"s.%d","seq":%d}`, on, below)
		gone = func(seq uint64) bool { return p.subjects[seq] == on && seq < below }
	case 3:
		body = fmt.Sprintf(`{"filter":"s.%d","keep":%d}`, on, keep)
		kept := p.newest(keep, func(s int) bool { return s == on })
		gone = func(seq uint64) bool { return p.subjects[seq] == on && !slices.Contains(kept, seq) }
	case 4:
		body = fmt.Sprintf(`{"seq":%d}`, min(below, p.last+1))
		gone = func(seq uint64) bool { return seq < below }
	default:
		body = fmt.Sprintf(`{"keep":%d}`, keep)
		kept := p.newest(keep, func(int) bool { return true })
		gone = func(seq uint64) bool { return !slices.Contains(kept, seq) }
	}
	p.r.ok("STREAM.PURGE.S", body)
	for i := range p.wants {
		p.wants[i] = slices.DeleteFunc(p.wants[i], gone)
	}
	for seq := range p.subjects {
		if gone(seq) {
			delete(p.subjects, seq)
		}
	}
}

// newest gives the last n stored sequences on a subject.
func (p *purged) newest(n int, on func(int) bool) (out []uint64) {
	for seq := p.last; seq > 0 && len(out) < n; seq-- {
		if s, stored := p.subjects[seq]; stored && on(s) {
			out = append(out, seq)
		}
	}
	return out
}
