package simtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// everything has all injectors on.
var everything = faults{
	drop: true, double: true, reorder: true, split: true, oneWay: true,
	crash: true, powerLoss: true, crashInside: true,
	slowSync: true, cutSnapshots: true, transfers: true, clockJumps: true, loseDisks: true, rot: true, readErrors: true,
}

// usual has each injector on in two of three runs, so that some of them go on in
// all kinds of weather.
func usual(seed uint64) options {
	f, rnd := everything, rand.New(rand.NewPCG(seed, 2))
	for _, on := range []*bool{
		&f.drop, &f.double, &f.reorder, &f.split, &f.oneWay, &f.crash, &f.powerLoss, &f.crashInside,
		&f.slowSync, &f.cutSnapshots, &f.transfers, &f.clockJumps, &f.loseDisks, &f.rot, &f.readErrors,
	} {
		*on = rnd.IntN(3) > 0
	}
	return options{seed: seed, length: 12 * time.Second, groups: 2, faults: f, modes: faultfs.Modes}
}

// try does one run and says how to repeat it if it failed.
func try(t *testing.T, o options) result {
	t.Helper()
	res := run(t, o)
	if res.err != nil {
		t.Errorf("seed %d: %v\nrepeat it with: WEIR_FAULT_SEED=%d go test ./internal/simtest -run '^%s$' -v\n%s",
			o.seed, res.err, o.seed, t.Name(), strings.Join(res.last, "\n"))
	}
	return res
}

// repeated does the one run that WEIR_FAULT_SEED asks for, with its history; false: it
// asks for none.
func repeated(t *testing.T, of func(seed uint64) options) bool {
	v := os.Getenv("WEIR_FAULT_SEED")
	if v == "" {
		return false
	}
	seed, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("WEIR_FAULT_SEED: %v", err)
	}
	o := of(seed)
	o.history = func(line string) { t.Log(line) }
	try(t, o)
	return true
}

func TestFaultsLoseNothingAcknowledged(t *testing.T) {
	if repeated(t, usual) {
		return
	}
	seen := map[string]int{}
	steps, begin := 0, time.Now()
	one := func(seed uint64) bool {
		res := try(t, usual(seed))
		for what, n := range res.seen {
			seen[what] += n
		}
		steps += res.steps
		return res.err == nil
	}
	if v := os.Getenv("WEIR_FAULTS_FOR"); v != "" {
		long, err := time.ParseDuration(v)
		if err != nil {
			t.Fatalf("WEIR_FAULTS_FOR: %v", err)
		}
		runs := 0
		first := uint64(begin.UnixNano())
		for seed := first; time.Since(begin) < long && one(seed); seed++ {
			runs++
		}
		t.Logf("%d fresh seeds from %d on, %d steps, in %v: %v", runs, first, steps, time.Since(begin), seen)
		return
	}
	seeds := uint64(48)
	if testing.Short() {
		seeds = 10
	}
	for seed := uint64(1); seed <= seeds && one(seed); seed++ {
	}
	t.Logf("%d steps in %v: %v", steps, time.Since(begin), seen)
	// What never happens is not tested.
	for _, what := range []string{
		"ack", "no answer", "publish repeated", "duplicate found", "condition refused", "removal", "vote", "leader", "leader deposed",
		"message dropped", "message doubled", "message very late", "message cut off", "node cut off", "one way cut",
		"crash inside a checkpoint", "crash while starting", "very slow sync", "transfer asked", "clock jump", "disk lost", "change of members asked",
		"bits flipped", "damage found",
		"snapshot sent", "snapshot installed", "snapshot not readable",
	} {
		if seen[what] == 0 {
			t.Errorf("nothing of this kind: %s", what)
		}
	}
}

// TestCatchupIsCompleteThoughTheLeaderCannotRead has leaders whose disks fail while
// they send a snapshot: what a copy lacks it gets another time, and never takes a gap
// for the beginning.
func TestCatchupIsCompleteThoughTheLeaderCannotRead(t *testing.T) {
	seen := map[string]int{}
	for seed := uint64(500); seed < 506; seed++ {
		res := try(t, options{
			seed: seed, length: 12 * time.Second, groups: 2, faults: faults{crash: true, split: true, loseDisks: true, readErrors: true}, modes: faultfs.Modes,
		})
		for what, n := range res.seen {
			seen[what] += n
		}
	}
	if seen["snapshot not readable"] < 10 || seen["snapshot installed"] < 10 {
		t.Errorf("too little happened: %v", seen)
	}
}

func TestSameSeedSameHistory(t *testing.T) {
	for seed := uint64(100); seed < 104; seed++ {
		o := usual(seed)
		o.length = 3 * time.Second
		a, b := run(t, o), run(t, o)
		if a.digest != b.digest || a.steps != b.steps {
			t.Errorf("seed %d: digests %x and %x after %d and %d steps", seed, a.digest, b.digest, a.steps, b.steps)
		}
		o.seed += 1000
		if c := run(t, o); c.digest == a.digest {
			t.Errorf("seeds %d and %d have one history", seed, o.seed)
		}
	}
}
