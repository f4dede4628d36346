package simtest

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// everything has all injectors on.
var everything = faults{
	drop: true, double: true, reorder: true, split: true, oneWay: true,
	crash: true, powerLoss: true, crashInside: true,
	slowSync: true, cutSnapshots: true, transfers: true, clockJumps: true,
}

func usual(seed uint64) options {
	return options{seed: seed, length: 12 * time.Second, groups: 2, faults: everything, modes: allModes}
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

func TestFaultsLoseNothingAcknowledged(t *testing.T) {
	if v := os.Getenv("WEIR_FAULT_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("WEIR_FAULT_SEED: %v", err)
		}
		o := usual(seed)
		o.history = func(line string) { t.Log(line) }
		try(t, o)
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
		for seed := uint64(begin.UnixNano()); time.Since(begin) < long && one(seed); seed++ {
			runs++
		}
		t.Logf("%d fresh seeds, %d steps, in %v: %v", runs, steps, time.Since(begin), seen)
		return
	}
	seeds := uint64(12)
	if testing.Short() {
		seeds = 4
	}
	for seed := uint64(1); seed <= seeds && one(seed); seed++ {
	}
	t.Logf("%d steps in %v: %v", steps, time.Since(begin), seen)
}

func TestSameSeedSameHistory(t *testing.T) {
	for seed := uint64(100); seed < 102; seed++ {
		o := usual(seed)
		o.length = 5 * time.Second
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
