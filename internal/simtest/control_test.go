package simtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// calmFaults are none at all but a disk that is not instant.
var calmFaults = faults{slowSync: true}

// TestFaultsAreFoundWithoutProtection takes away one protection at a time. What
// clients and peers can see must then go wrong, within a number of seeds.
func TestFaultsAreFoundWithoutProtection(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few seconds")
	}
	drop := []faultfs.Mode{faultfs.DropUnsynced}
	crash := func(f faults) faults { f.crash = true; return f }
	cases := []struct {
		name   string
		weak   weakness
		faults faults
		modes  []faultfs.Mode
		direct bool // found by a look into the node
		says   string
		seeds  uint64
	}{
		{name: "acknowledged before the sync, unsynced writes lost", weak: weakness{ackBeforeSync: true}, faults: crash(calmFaults), modes: drop},
		{name: "acknowledged before the sync, sectors lost", weak: weakness{ackBeforeSync: true}, faults: crash(calmFaults), modes: []faultfs.Mode{faultfs.RandomSectors}},
		{name: "acknowledged before the sync, last write torn", weak: weakness{ackBeforeSync: true}, faults: crash(calmFaults), modes: []faultfs.Mode{faultfs.TornLast}},
		{name: "acknowledged before the sync, last write torn and noise", weak: weakness{ackBeforeSync: true}, faults: crash(calmFaults), modes: []faultfs.Mode{faultfs.GarbageTail}},
		{name: "acknowledged before the sync, power lost everywhere", weak: weakness{ackBeforeSync: true}, faults: faults{slowSync: true, powerLoss: true}, modes: drop},
		{name: "acknowledged before the sync, a look inside", weak: weakness{ackBeforeSync: true}, faults: calmFaults, modes: drop, direct: true, says: "durable", seeds: 2},
		{name: "vote forgotten", weak: weakness{forgetVotes: true}, faults: faults{slowSync: true, crash: true, split: true, oneWay: true, drop: true}, modes: drop, says: "voted for", seeds: 300},
		{name: "vote forgotten, a look inside", weak: weakness{forgetVotes: true}, faults: calmFaults, modes: drop, direct: true, says: "its vote for 0 is durable", seeds: 2},
		{name: "disk that lies", weak: weakness{lyingDisk: true}, faults: faults{slowSync: true, powerLoss: true}, modes: drop},
		{name: "acknowledged at admission, messages dropped", weak: weakness{ackAlone: true}, faults: faults{slowSync: true, drop: true}, modes: drop},
		{name: "acknowledged at admission, nodes cut off", weak: weakness{ackAlone: true}, faults: faults{slowSync: true, split: true}, modes: drop},
		{name: "acknowledged at admission, one way cuts", weak: weakness{ackAlone: true}, faults: faults{slowSync: true, oneWay: true}, modes: drop},
		{name: "acknowledged at admission, crashes", weak: weakness{ackAlone: true}, faults: crash(calmFaults), modes: drop},
		{name: "acknowledged at admission, leadership given on", weak: weakness{ackAlone: true}, faults: faults{slowSync: true, transfers: true}, modes: drop},
		{name: "snapshot cut short and trusted", weak: weakness{trustSnapshots: true}, faults: faults{crash: true, split: true, cutSnapshots: true}, modes: drop, seeds: 100},
		{name: "what cannot be read left out of a snapshot", weak: weakness{skipUnread: true}, faults: faults{crash: true, loseDisks: true, readErrors: true}, modes: drop, seeds: 100},
		{name: "checkpoint not synced", weak: weakness{lazyStore: true}, faults: crash(calmFaults), modes: drop},
		{name: "checkpoint written over the last one", weak: weakness{storeInPlace: true}, faults: faults{crashInside: true}, modes: []faultfs.Mode{faultfs.TornLast}},
		{name: "copy without its disk under its old name", weak: weakness{reuseCopy: true}, faults: faults{slowSync: true, loseDisks: true}, modes: drop, says: "lost what it had acknowledged"},
		{name: "damage read over", weak: weakness{ignoreDamage: true}, faults: faults{slowSync: true, rot: true}, modes: drop, seeds: 100},
		{name: "admission goes on behind a refused entry", weak: weakness{staleWindow: true}, faults: faults{slowSync: true, reorder: true, transfers: true, drop: true}, modes: drop, seeds: 100},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.seeds == 0 {
				c.seeds = 30
			}
			for seed := uint64(1); seed <= c.seeds; seed++ {
				res := run(t, options{
					seed: seed, length: 12 * time.Second, groups: 2, faults: c.faults, modes: c.modes, weak: c.weak, indirect: !c.direct,
				})
				if res.err != nil && strings.Contains(res.err.Error(), c.says) {
					line, _, _ := strings.Cut(res.err.Error(), "\n")
					t.Logf("seed %d: %s", seed, line)
					return
				}
			}
			t.Errorf("nothing found in %d seeds", c.seeds)
		})
	}
}

// TestFaultsOfTheNetworkBreakANaiveProtocol sends numbers without any care for
// what a network does: each injector alone must be seen, and without one nothing.
func TestFaultsOfTheNetworkBreakANaiveProtocol(t *testing.T) {
	for name, f := range map[string]faults{
		"none": {}, "drop": {drop: true}, "double": {double: true}, "reorder": {reorder: true},
		"split": {split: true}, "one way": {oneWay: true},
	} {
		broken := false
		for seed := uint64(1); seed <= 20; seed++ {
			s := newSim(options{seed: seed, length: 4 * time.Second, groups: 0, faults: f})
			var sent, got []int
			s.every(5*time.Millisecond, func() {
				n := len(sent)
				sent = append(sent, n)
				s.net.carry(1, 2, func() { got = append(got, n) })
			})
			s.planNetwork()
			s.runUntil(func() bool { return s.now >= s.length })
			// The last ones are on their way.
			late := len(sent) - len(got)
			broken = broken || late < 0 || late > 2 || !slices.Equal(got, sent[:len(got)])
		}
		if broken != (name != "none") {
			t.Errorf("injector %s: broken is %v", name, broken)
		}
	}
}
