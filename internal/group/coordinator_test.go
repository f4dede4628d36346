package group

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const second = int64(1e9)

// streams are the streams of the tests with their partitions.
var streams = map[string]int{"one": 1, "two": 2, "three": 3, "x": 1, "y": 1, "wide": 16}

func coordinator(counts map[string]int) *Coordinator {
	return NewCoordinator(Options{
		ID: "me", ConsumerTimeout: 15 * second, CoordinatorTimeout: 15 * second,
		Count: func(_, stream string) (int, bool) { n, ok := counts[stream]; return n, ok },
	})
}

var g = Key{"A", "g"}

// reads prints who reads what.
func reads(c *Coordinator) string {
	s, ok := c.State(g)
	if !ok {
		return "gone"
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.Members)) {
		a := s.Members[name].Assigned
		part := name + ":"
		for _, st := range slices.Sorted(maps.Keys(a)) {
			part += fmt.Sprint(st, a[st])
		}
		out = append(out, part)
	}
	return fmt.Sprintf("%d %s", s.Epoch, strings.Join(out, " "))
}

// TestPartitionsAreDealt is a transcript: each line is a request, what it returns,
// and who reads what afterwards.
func TestPartitionsAreDealt(t *testing.T) {
	for _, script := range []string{`
join b three -> 0 b:three[0 1 2]
join a three -> 1 a:three[0 2] b:three[1]
join c three -> 2 a:three[0] b:three[1] c:three[2]
join d three -> 3 a:three[0] b:three[1] c:three[2] d:
leave a -> 4 b:three[0] c:three[1] d:three[2]
leave b -> 5 c:three[0 2] d:three[1]
leave c -> 6 d:three[0 1 2]
leave d -> gone
join d two -> 8 d:two[0 1]
`, `
join a y,x -> 0 a:x[0]y[0]
join b y,x -> 1 a:y[0] b:x[0]
leave a -> 2 b:x[0]y[0]
`, `
join a two -> 0 a:two[0 1]
join b three -> 1 a:two[0 1] b:three[0 1 2]
join c two,three -> 2 a:two[0 1] b:three[0 2] c:three[1]
delete three -> 3 a:two[0] b: c:two[1]
delete nope -> 3 a:two[0] b: c:two[1]
leave c -> 4 a:two[0 1] b:
`, `
join a two -> 0 a:two[0 1]
join a two -> consumer is already a member of the consumer group
join b none -> stream does not exist
leave b -> consumer is not a member of the consumer group
leave a -> gone
leave a -> consumer group does not exist
`} {
		counts := maps.Clone(streams)
		c := coordinator(counts)
		for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
			request, want, _ := strings.Cut(line, " -> ")
			f := strings.Fields(request)
			var err error
			switch f[0] {
			case "join":
				_, err = c.Join(g, f[1], strings.Split(f[2], ","), 0)
			case "leave":
				err = c.Leave(g, f[1], 0)
			case "delete":
				delete(counts, f[1])
				c.StreamDeleted("A", f[1])
			}
			got := reads(c)
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s -> %s, not %s", request, got, want)
			}
		}
	}
}

func TestAssignmentsAreOfTheCurrentEpochOnly(t *testing.T) {
	c := coordinator(streams)
	if _, err := c.Assignments(g, "a", 0, 0); !errors.Is(err, ErrNoGroup) {
		t.Error(err)
	}
	old, _ := c.Join(g, "a", []string{"two"}, 0)
	epoch, _ := c.Join(g, "b", []string{"two"}, 0)
	for _, e := range []uint64{old, epoch + 1} {
		if _, err := c.Assignments(g, "a", e, 0); !errors.Is(err, ErrEpoch) {
			t.Error(e, err)
		}
	}
	if _, err := c.Assignments(g, "z", epoch, 0); !errors.Is(err, ErrNotMember) {
		t.Error(err)
	}
	a, err := c.Assignments(g, "a", epoch, 0)
	if err != nil || fmt.Sprint(a) != "map[two:[0]]" {
		t.Error(a, err)
	}
}

func TestSilentMembersExpireAndOthersStay(t *testing.T) {
	c := coordinator(streams)
	c.Join(g, "a", []string{"one"}, 0)
	epoch, _ := c.Join(g, "b", []string{"one"}, 0)
	if out, next := c.Expire(second); len(out) > 0 || next != 15*second {
		t.Fatal(out, next)
	}
	if _, err := c.Assignments(g, "b", epoch, 10*second); err != nil {
		t.Fatal(err)
	}
	out, next := c.Expire(15 * second)
	if len(out) != 1 || out[0].Consumer != "a" || next != 15*second+1 {
		t.Fatal(out, next)
	}
	if err := c.Leave(g, "a", 15*second); err != nil {
		t.Fatal(err)
	}
	if out, next := c.Expire(next); len(out) > 0 || next != 25*second {
		t.Fatal(out, next)
	}
	if out, _ := c.Expire(25 * second); len(out) != 1 {
		t.Fatal(out)
	}
}

// A client that is refused for its epoch may pause before it asks for the new one, and
// be refused again: it is slow to hear, not gone.
func TestAMemberThatIsLateForAnEpochDoesNotExpire(t *testing.T) {
	c := coordinator(streams)
	old, _ := c.Join(g, "a", []string{"one"}, 0)
	epoch, _ := c.Join(g, "b", []string{"one"}, 0)
	for _, ask := range []struct {
		member string
		epoch  uint64
	}{{"a", old}, {"b", epoch + 1}} {
		if _, err := c.Assignments(g, ask.member, ask.epoch, 10*second); !errors.Is(err, ErrEpoch) {
			t.Fatal(ask, err)
		}
	}
	if out, _ := c.Expire(15 * second); len(out) != 1 || out[0].Consumer != "b" {
		t.Fatal("an epoch that never was is no sign of life, an older one is:", out)
	}
	if out, _ := c.Expire(25 * second); len(out) != 2 {
		t.Fatal(out)
	}
}

func TestReportsNeedMoreThanHalfOfTheMembers(t *testing.T) {
	c := coordinator(streams)
	if err := c.Report(g, "a", "me", 0, 0); !errors.Is(err, ErrNoGroup) {
		t.Error(err)
	}
	var epoch uint64
	for _, m := range []string{"a", "b", "c"} {
		epoch, _ = c.Join(g, m, []string{"one"}, 0)
	}
	var mismatch *MismatchError
	if err := c.Report(g, "a", "other", epoch, 0); !errors.As(err, &mismatch) {
		t.Error(err)
	}
	if err := c.Report(g, "a", "me", epoch-1, 0); !errors.As(err, &mismatch) {
		t.Error(err)
	}
	if err := c.Report(g, "z", "me", epoch, 0); !errors.Is(err, ErrNotMember) {
		t.Error(err)
	}
	for range 2 { // one that repeats itself counts once
		if err := c.Report(g, "a", "me", epoch, 0); err != nil {
			t.Error(err)
		}
	}
	if err := c.Report(g, "b", "me", epoch, 15*second); err != nil {
		t.Error("an old report counted:", err)
	}
	if err := c.Report(g, "c", "me", epoch, 16*second); !errors.Is(err, ErrNoCandidates) {
		t.Error(err)
	}
}

func TestEpochsGoOnWhereAGroupComesBack(t *testing.T) {
	c := coordinator(streams)
	c.Join(g, "a", []string{"one"}, 0)
	c.Leave(g, "a", 0)
	s, ok := c.State(g)
	if ok || s.Epoch != 1 || len(s.Members) > 0 {
		t.Fatal(s, ok)
	}
	again := coordinator(streams)
	again.Load(g, s, 0)
	if epoch, err := again.Join(g, "a", []string{"one"}, 0); err != nil || epoch != 2 {
		t.Fatal(epoch, err)
	}
	if other, _ := again.Join(Key{"B", "g"}, "a", []string{"one"}, 0); other != 0 {
		t.Fatal("another account's group begins at ", other)
	}
}

func TestEpochsOfGroupsThatAreGoneAreLetGoInTheEnd(t *testing.T) {
	c := coordinator(streams)
	for i := range 3 * fewGone {
		k, now := Key{"A", fmt.Sprint(i)}, int64(i)*int64(KeepGone)/100
		c.Join(k, "a", []string{"one"}, now)
		c.Leave(k, "a", now)
	}
	if len(c.gone) > fewGone {
		t.Fatal(len(c.gone), " are kept")
	}
}

// member is a consumer of the model: what it believes to read, and since when.
type member struct {
	epoch uint64
	parts map[string]Partitions
	alive bool
	asked int64
}

// TestAPartitionIsReadByOneMemberAtAnyEpoch has members join, ask, fall silent,
// crash and come back at random, with restarts of the coordinator in between.
func TestAPartitionIsReadByOneMemberAtAnyEpoch(t *testing.T) {
	for seed := range uint64(60) {
		m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 7)), counts: maps.Clone(streams), members: map[string]*member{}, told: map[string]string{}}
		m.c = coordinator(m.counts)
		for range 400 {
			m.step()
		}
		m.settle()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type model struct {
	t       *testing.T
	rng     *rand.Rand
	c       *Coordinator
	counts  map[string]int
	now     int64
	members map[string]*member
	told    map[string]string // who was told a partition of an epoch
	last    uint64            // epoch
}

func (m *model) step() {
	name := fmt.Sprint("m", m.rng.IntN(6))
	me := m.members[name]
	m.now += m.rng.Int64N(3 * second)
	switch n := m.rng.IntN(20); {
	case n < 5:
		if me == nil || !me.alive {
			m.join(name)
		}
	case n < 12:
		if me != nil && me.alive {
			m.ask(name, me)
		}
	case n < 13:
		if me != nil && me.alive {
			m.c.Leave(g, name, m.now)
			delete(m.members, name)
		}
	case n < 14:
		if me != nil {
			me.alive = false // it crashes
		}
	case n < 15:
		m.restart()
	case n < 16 && len(m.counts) > 3:
		for s := range m.counts {
			delete(m.counts, s)
			m.c.StreamDeleted("A", s)
			break
		}
	default:
		m.expire()
	}
}

func (m *model) join(name string) {
	all := slices.Sorted(maps.Keys(m.counts))
	m.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	epoch, err := m.c.Join(g, name, all[:1+m.rng.IntN(len(all))], m.now)
	if err != nil {
		if !errors.Is(err, ErrMember) {
			m.t.Error(err)
		}
		return
	}
	if epoch < m.last {
		m.t.Errorf("the epoch goes back from %d to %d", m.last, epoch)
	}
	m.last = epoch
	m.members[name] = &member{epoch: epoch, alive: true, asked: m.now}
}

func (m *model) ask(name string, me *member) {
	s, ok := m.c.State(g)
	if !ok {
		delete(m.members, name)
		return
	}
	a, err := m.c.Assignments(g, name, s.Epoch, m.now)
	if err != nil {
		if !errors.Is(err, ErrNotMember) {
			m.t.Error(err)
		}
		delete(m.members, name)
		return
	}
	me.epoch, me.parts, me.asked = s.Epoch, a, m.now
	for st, parts := range a {
		for _, p := range parts {
			at := fmt.Sprint(s.Epoch, st, p)
			if who, known := m.told[at]; known && who != name {
				m.t.Errorf("epoch %d: partition %d of %s was given to %s and to %s", s.Epoch, p, st, who, name)
			}
			m.told[at] = name
		}
	}
}

// restart loses everything that is not kept.
func (m *model) restart() {
	s, ok := m.c.State(g)
	m.c = coordinator(m.counts)
	if ok || s.Epoch > 0 {
		copied := State{Epoch: s.Epoch, Members: map[string]*Member{}}
		for name, x := range s.Members {
			copied.Members[name] = &Member{Streams: x.Streams, Assigned: maps.Clone(x.Assigned)}
		}
		m.c.Load(g, copied, m.now)
	}
}

func (m *model) expire() {
	out, _ := m.c.Expire(m.now)
	for _, e := range out {
		if me := m.members[e.Consumer]; me != nil && m.now < me.asked+15*second {
			m.t.Errorf("%s expired %d ns after its last sign of life", e.Consumer, m.now-me.asked)
		}
		if err := m.c.Leave(e.Key, e.Consumer, m.now); err != nil {
			m.t.Error(err)
		}
		delete(m.members, e.Consumer)
	}
}

// settle lets the dead expire and the living ask: then every partition that
// somebody wants is read by exactly one.
func (m *model) settle() {
	for range 4 {
		m.now += 5 * second
		for name, me := range m.members {
			if me.alive {
				m.ask(name, me)
			}
		}
		m.expire()
	}
	s, ok := m.c.State(g)
	if !ok {
		return
	}
	readers := map[string]int{}
	for name, me := range m.members {
		if me.alive {
			m.ask(name, me)
			for st, parts := range me.parts {
				for _, p := range parts {
					readers[fmt.Sprint(st, p)]++
				}
			}
		}
	}
	wanted := map[string]bool{}
	for name, x := range s.Members {
		if me := m.members[name]; me == nil || !me.alive {
			m.t.Errorf("%s is dead and still a member", name)
		}
		for _, st := range x.Streams {
			for p := range m.counts[st] {
				wanted[fmt.Sprint(st, p)] = true
			}
		}
	}
	for p := range wanted {
		if readers[p] != 1 {
			m.t.Errorf("partition %s has %d readers", p, readers[p])
		}
	}
	if len(readers) != len(wanted) {
		m.t.Errorf("%d partitions are read, %d wanted", len(readers), len(wanted))
	}
}
