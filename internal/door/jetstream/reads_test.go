package jetstream

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// access is a read or a write of one key. Its times are of a counter that every
// begin and end moves on.
type access struct {
	key        int
	write      bool
	begin, end int64
	seq        uint64 // what was read or written; 0: the key had no value
	cas        bool   // the write demanded that the last was
	was        uint64
}

// TestReadYourAckedWrite: a read that begins when a write was acknowledged gives it or
// a later one, whichever way it is asked, and never an older one than a read before
// it. A write that names the revision that it replaces replaces that one. All this
// holds over crashes. It is said of the stream itself; a mirror that answers direct
// gets is behind it by what is on its way.
func TestReadYourAckedWrite(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.*", `"allow_direct":true`, `"max_msgs_per_subject":3`)
	var all []access
	for round := range uint64(3) {
		all = append(all, r.accesses(round)...)
		switch round {
		case 0:
			r = on(t, r.Crash(faultfs.DropUnsynced, round))
		case 1:
			r.Checkpoint()
			r = on(t, r.Crash(faultfs.TornLast, round))
		}
	}
	checkAccesses(t, all)
}

var accessClock atomic.Int64

// accesses has a few clients read and write the same keys.
func (r *rig) accesses(seed uint64) (all []access) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for client := range uint64(4) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, client))
			known := map[int]uint64{} // last revision seen
			for range 60 {
				a := access{key: rnd.IntN(3), write: rnd.IntN(2) == 0, cas: rnd.IntN(2) == 0}
				a.was = known[a.key]
				if !r.access(&a, rnd.IntN(4)) {
					delete(known, a.key)
					continue
				}
				known[a.key] = a.seq
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}

// access does what it says, and says whether that worked.
func (r *rig) access(a *access, how int) bool {
	subject := fmt.Sprint("s.", a.key)
	a.begin = accessClock.Add(1)
	defer func() { a.end = accessClock.Add(1) }()
	if a.write {
		var h []string
		if a.cas {
			h = []string{"Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(a.was, 10)}
		}
		ack := r.publish(subject, "x", h...)
		a.seq = ack.Seq
		return ack.Error == nil
	}
	switch how {
	case 0:
		if m := r.api("STREAM.MSG.GET.S", fmt.Sprintf(`{"last_by_subj":%q}`, subject)).Message; m != nil {
			a.seq = m.Seq
		}
		return true
	case 1:
		a.seq = revision(r.t, streamtest.Request(r.t, r.space, "$JS.API.DIRECT.GET.S", nil, fmt.Appendf(nil, `{"last_by_subj":%q}`, subject)))
	case 2:
		a.seq = revision(r.t, streamtest.Request(r.t, r.space, "$JS.API.DIRECT.GET.S", nil, fmt.Appendf(nil, `{"multi_last":[%q]}`, subject)))
	default:
		a.seq = revision(r.t, streamtest.Request(r.t, r.space, "$JS.API.DIRECT.GET.S."+subject, nil, nil))
	}
	return true
}

// revision is the sequence of an answer; 0: there is no such message.
func revision(t *testing.T, m streamtest.Msg) uint64 {
	_, rest, ok := strings.Cut(string(m.Header), "Nats-Sequence: ")
	if !ok {
		if !strings.HasPrefix(string(m.Header), "NATS/1.0 404") {
			t.Errorf("answer %q", m.Header)
		}
		return 0
	}
	seq, err := strconv.ParseUint(rest[:strings.IndexByte(rest, '\r')], 10, 64)
	if err != nil {
		t.Error(err)
	}
	return seq
}

// checkAccesses holds the history of each key against a register whose versions are
// numbered: no access gives less than one that ended before it began.
func checkAccesses(t *testing.T, all []access) {
	t.Helper()
	reads, swaps := 0, 0
	for i := range all {
		a := &all[i]
		var before uint64 // the last write to the key ahead of it in the log
		for k := range all {
			b := &all[k]
			if a.key != b.key || i == k {
				continue
			}
			if b.end < a.begin && (b.seq > a.seq || a.write && b.seq == a.seq) {
				t.Fatalf("%+v comes after %+v", *a, *b)
			}
			if b.write && b.seq < a.seq {
				before = max(before, b.seq)
			}
		}
		if !a.write {
			reads++
		} else if a.cas {
			swaps++
			if a.was != before {
				t.Fatalf("%+v replaces %d", *a, before)
			}
		}
	}
	if reads < 100 || swaps < 20 {
		t.Errorf("%d reads and %d writes of a known revision are too few to tell", reads, swaps)
	}
}
