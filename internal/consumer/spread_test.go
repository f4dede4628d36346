package consumer

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// spreadRig is a consumer with members, and a replica that follows it.
type spreadRig struct {
	t       *testing.T
	c       *Consumer
	src     stored
	now     int64
	cfg     Config
	out     Output
	replica *Replica
	// delivered are those of the last step.
	delivered []Delivery
}

func newSpread(t *testing.T, group bool, members ...Member) *spreadRig {
	r := &spreadRig{t: t, now: 1_700_000_000 * int64(time.Second)}
	r.cfg = Config{AckPolicy: AckExplicit, Spread: &Spread{Members: members, Group: group}}
	r.c, r.replica = New(r.cfg, StartAt(1)), NewReplica(StartAt(1))
	for _, m := range members {
		r.c.Attend(m.ID, true, r.now)
	}
	return r
}

func (r *spreadRig) put(n int) {
	for range n {
		r.src.add(r.src.last+1, 10)
	}
}

// step lets time pass and the consumer do what it can, and gives for each delivery
// the sequence and the member.
func (r *spreadRig) step(after time.Duration) (got [][2]uint64) {
	r.t.Helper()
	r.now += int64(after)
	r.delivered = r.delivered[:0]
	for {
		r.c.Step(r.now, &r.src, everyone, &r.out)
		for _, d := range r.out.Deliveries {
			got = append(got, [2]uint64{d.Seq, uint64(d.Member)})
			r.delivered = append(r.delivered, d)
		}
		if len(r.out.Changes) > 0 {
			if err := r.replica.Apply(r.out.Changes, func(uint64) {}); err != nil {
				r.t.Fatal(err)
			}
		}
		r.c.check(r.t)
		if !r.out.More {
			break
		}
	}
	if a, b := r.c.State(), r.replica.State(); !reflect.DeepEqual(a.Pending, b.Pending) || a.Delivered != b.Delivered || a.Floor != b.Floor {
		r.t.Fatalf("the replica has %+v, not %+v", b, a)
	}
	return got
}

func (r *spreadRig) ack(seqs ...uint64) {
	for _, seq := range seqs {
		r.c.Ack(Ack{Seq: seq}, r.now)
	}
}

func (r *spreadRig) want(after time.Duration, want ...[2]uint64) {
	r.t.Helper()
	if got := r.step(after); !slices.Equal(got, want) {
		r.t.Fatalf("delivered %v, want %v", got, want)
	}
}

func TestSpreadPrefersWhoHasTheFewestPending(t *testing.T) {
	r := newSpread(t, true, Member{1, 2, time.Second}, Member{2, 9, time.Second})
	r.put(5)
	r.want(0, [2]uint64{1, 1}, [2]uint64{2, 2}, [2]uint64{3, 1}, [2]uint64{4, 2}, [2]uint64{5, 2})
	r.ack(1, 4)
	r.put(2)
	r.want(0, [2]uint64{6, 1}, [2]uint64{7, 2})
	r.put(9)
	if got := r.step(0); len(got) != 6 || got[0] != [2]uint64{8, 2} {
		t.Errorf("beyond its limits: %v", got)
	}
}

func TestSpreadGivesAllAgainToMembersThatHaveNothingSinceAReset(t *testing.T) {
	r := newSpread(t, true, Member{1, 1, time.Second}, Member{2, 1, time.Second})
	r.put(3)
	r.want(0, [2]uint64{1, 1}, [2]uint64{2, 2})
	r.c.Reset(1, r.now)
	for _, m := range r.c.Members() {
		if m.Pending != 0 || m.Stalled {
			t.Errorf("after the reset: %+v", m)
		}
	}
	if got := r.step(0); len(got) != 2 || got[0][0] != 1 || got[1][0] != 2 || got[0][1] == got[1][1] {
		t.Errorf("delivered %v", got)
	}
	r.ack(1)
	if got := r.step(0); len(got) != 1 || got[0][0] != 3 {
		t.Errorf("after an acknowledgement: %v", got)
	}
}

func TestSpreadWaitsForEachMemberAsLongAsItSays(t *testing.T) {
	r := newSpread(t, true, Member{1, 1, time.Second}, Member{2, 1, 3 * time.Second})
	r.put(2)
	r.want(0, [2]uint64{1, 1}, [2]uint64{2, 2})
	r.want(900 * time.Millisecond)
	got := r.step(100 * time.Millisecond)
	if len(got) != 1 || got[0][0] != 1 || r.delivered[0].Delivered != 2 {
		t.Fatalf("after a second: %+v", r.delivered)
	}
	r.ack(1)
	r.want(1900 * time.Millisecond)
	if got := r.step(200 * time.Millisecond); len(got) != 1 || got[0][0] != 2 {
		t.Errorf("after three seconds: %v", got)
	}
}

func TestSpreadGivesWhatAMemberLeavesToTheOthers(t *testing.T) {
	r := newSpread(t, true, Member{1, 5, time.Second}, Member{2, 5, time.Second})
	r.put(4)
	r.step(0)
	mine := []uint64{}
	for _, d := range r.delivered {
		if d.Member == 1 {
			mine = append(mine, d.Seq)
		}
	}
	r.c.Attend(1, false, r.now)
	for i, got := range r.step(0) {
		if got != [2]uint64{mine[i], 2} || r.delivered[i].Delivered != 2 {
			t.Errorf("delivered %v", got)
		}
	}
	r.c.Attend(2, false, r.now)
	r.put(1)
	r.want(time.Minute) // nobody is there
	r.cfg.Spread = &Spread{Group: true, Members: []Member{{3, 1, time.Second}}}
	r.c.Update(r.cfg)
	r.want(0)
	r.c.Attend(3, true, r.now)
	r.want(0, [2]uint64{1, 3}, [2]uint64{2, 3}, [2]uint64{3, 3}, [2]uint64{4, 3}) // whatever its limit
	r.ack(1, 2, 3, 4)
	r.want(0, [2]uint64{5, 3})
}

func TestSpreadHoldsBackWhatASuspectHasToGetAgain(t *testing.T) {
	r := newSpread(t, false, Member{1, 2, time.Second})
	r.put(1)
	r.want(0, [2]uint64{1, 1})
	r.c.Suspect(1, true, r.now)
	r.want(2 * time.Second)
	r.put(2)
	r.want(0, [2]uint64{2, 1}) // what is new goes out, as far as there is room
	r.c.Suspect(1, false, r.now)
	r.want(0, [2]uint64{1, 1})
	g := newSpread(t, true, Member{1, 2, time.Second}, Member{2, 2, time.Second})
	g.c.Suspect(1, true, g.now)
	g.put(3)
	g.want(0, [2]uint64{1, 2}, [2]uint64{2, 2}, [2]uint64{3, 1}) // others are preferred
}

// TestSpreadKeepsItsPromisesWhateverHappens does at random what clients do. At each
// step nobody has more new messages than allowed, everything that was delivered and
// not acknowledged is pending with somebody, first deliveries come in order, and
// nothing comes again that was acknowledged. At the end all is delivered.
func TestSpreadKeepsItsPromisesWhateverHappens(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		r := newSpread(t, seed%2 == 0, Member{1, 3, time.Second})
		members, next := []Member{{1, 3, time.Second}}, uint32(2)
		acked, first := map[uint64]bool{}, uint64(0)
		update := func() {
			r.cfg.Spread = &Spread{Group: r.cfg.Spread.Group, Members: slices.Clone(members)}
			r.c.Update(r.cfg)
		}
		observe := func() {
			for _, d := range r.delivered {
				if acked[d.Seq] {
					t.Fatalf("seed %d: %d comes again", seed, d.Seq)
				}
				if d.Delivered == 1 {
					if d.Seq != first+1 {
						t.Fatalf("seed %d: %d follows %d", seed, d.Seq, first)
					}
					first = d.Seq
				}
				if !slices.ContainsFunc(members, func(m Member) bool { return m.ID == d.Member }) {
					t.Fatalf("seed %d: delivered to %d, who left", seed, d.Member)
				}
			}
			if n := r.c.Info().AckPending; n != int(first)-len(acked) {
				t.Fatalf("seed %d: %d pending, %d delivered, %d acknowledged", seed, n, first, len(acked))
			}
		}
		for range 300 {
			switch rnd.IntN(6) {
			case 0:
				r.put(1 + rnd.IntN(5))
			case 1, 2:
				if seq := 1 + rnd.Uint64N(first+1); seq <= first && !acked[seq] {
					r.ack(seq)
					acked[seq] = true
				}
			case 3:
				m := Member{next, 1 + rnd.IntN(5), time.Duration(1+rnd.IntN(3)) * time.Second}
				next++
				members = append(members, m)
				update()
				r.c.Attend(m.ID, true, r.now)
			case 4:
				if len(members) > 0 {
					i := rnd.IntN(len(members))
					r.c.Attend(members[i].ID, false, r.now)
					members = slices.Delete(members, i, i+1)
					update()
				}
			case 5:
				if rnd.IntN(10) == 0 { // a restart
					r.c = New(r.cfg, r.replica.State())
					for _, m := range members {
						r.c.Attend(m.ID, true, r.now)
					}
				}
			}
			r.step(time.Duration(rnd.IntN(400)) * time.Millisecond)
			observe()
		}
		members = []Member{{next, 1000, time.Second}}
		update()
		r.c.Attend(next, true, r.now)
		for first < r.src.last || len(acked) < int(first) {
			r.step(100 * time.Millisecond)
			observe()
			for seq := uint64(1); seq <= first; seq++ {
				if !acked[seq] {
					r.ack(seq)
					acked[seq] = true
				}
			}
		}
	}
}
