// Package simtest is a seeded, deterministic simulation of a few nodes that hold
// copies of the partitions of a stream. It has tests only.
//
// # What is real
//
// multiraft with raft under it; the journal with its files, batches and recovery;
// partitions with their admission, limits, dedup window and removals; the frames; the
// consumers' state machines, where a run has consumers.
// All files are in vfs/faultfs, which knows what was synced.
//
// # What is simulated
//
//   - The clock. Time moves from one event to the next.
//   - The network. It delays, reorders, drops and doubles messages, cuts links in
//     one direction, splits nodes, and cuts snapshots short. A leader's disk fails
//     while it sends one.
//   - The disk's time. A batch of the journal is written when its node says so, and
//     its sync returns when an event says so; other writes take no time. A crash
//     leaves what faultfs makes of it: unsynced writes lost, kept, reordered or torn
//     at 512 bytes. Disks are lost whole, and bits of a journal flip: a node that
//     finds damage does not take part, and its copies are replaced by new ones.
//   - The store of a partition: frames in memory, and a checkpoint in one file that
//     is replaced atomically, instead of segments. A snapshot is the frames that a
//     copy lacks and the small state.
//   - Where consumers run: each is stepped on the leader, and what it does is sent when
//     the group has it. Clients acknowledge to whoever leads.
//   - Clients: they publish to whichever node says that it leads, with conditions
//     and message ids, and repeat what has an id and no answer.
//
// # Determinism
//
// All happens on one goroutine, except that the journal has goroutines of its own.
// The simulation runs in a bubble of testing/synctest, and waits after every call
// that the journal is idle or held at its sync. Raft draws its timeouts from
// crypto/rand.Reader, which is replaced for the time of a run, so runs are never
// parallel. The same seed gives the same history, which a test compares by the
// digest of everything that happened.
//
// # Use
//
//	go test ./internal/simtest                              a fixed list of seeds
//	WEIR_FAULTS_FOR=5m go test -count=1 -timeout 0 ./internal/simtest -run Fault
//	                                                        fresh seeds, printed on failure
//	WEIR_FAULT_SEED=n go test ./internal/simtest -run Fault -v
//	                                                        one seed, with its history
//
// Two limits are kept, as no protocol can do without them: no second disk is lost
// before the copies of the first are replaced, and bits do not flip in the last
// batch of a journal, which cannot be told from a torn one.
//
// One more test runs groups, journals and links on goroutines of their own, for the
// race detector; no seed repeats that one.
//
// Each protection has a negative control: with it taken away, the same invariants
// must fail within a number of seeds.
package simtest
