package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// faultSeeds are the histories of every run. WEIR_FAULTS_FOR=1h runs fresh ones
// for that long instead.
const (
	faultSeeds      = 12
	faultSeedsShort = 4
)

// TestFaultNothingAcknowledgedIsLost runs random histories on a disk that stops at
// a random operation and crashes, several times over, and holds what is there
// against a model. A failure names its seed: WEIR_FAULT_SEED=N runs that one.
func TestFaultNothingAcknowledgedIsLost(t *testing.T) {
	if s := os.Getenv("WEIR_FAULT_SEED"); s != "" {
		var seed uint64
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatalf("WEIR_FAULT_SEED: %v", err)
		}
		runHistory(t, seed)
		return
	}
	if s := os.Getenv("WEIR_FAULTS_FOR"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatalf("WEIR_FAULTS_FOR: %v", err)
		}
		first := rand.Uint64() >> 1
		seed := first
		for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); seed++ {
			runHistory(t, seed)
		}
		t.Logf("fresh seeds %d to %d", first, seed-1)
		return
	}
	seeds := uint64(faultSeeds)
	if testing.Short() {
		seeds = faultSeedsShort
	}
	for seed := range seeds {
		runHistory(t, seed)
	}
}

func runHistory(t *testing.T, seed uint64) {
	t.Helper()
	if err := history(t, seed, false); err != nil {
		t.Fatalf("WEIR_FAULT_SEED=%d: %v", seed, err)
	}
}

// The negative control: where syncs do nothing the same histories must fail.
func TestFaultHistoriesSeeADiskThatDoesNotSync(t *testing.T) {
	for seed := range uint64(40) {
		if err := history(t, seed, true); err != nil {
			t.Log(err)
			return
		}
	}
	t.Fatal("a disk that does not sync lost nothing: the histories prove nothing")
}

// model is what may be seen of the stream.
type model struct {
	created bool
	there   map[uint64]string // acknowledged, by sequence: subject and payload
	unknown map[string]bool   // published, but never answered
	doomed  map[uint64]bool   // a removal was asked for and not answered
	gone    map[uint64]string // removed for sure
	next    int               // number of the next payload
}

// past is one history: the disk, the model, and chance.
type past struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	disk  *faultfs.FS
	model model
	n     *node
	lying bool
	// encrypts: what is stored is encrypted, and compressed.
	encrypts bool
	// extents: what is a little larger goes to extents.
	extents  bool
	subjects int      // few: they are kept in the checkpoints; many: in runs
	told     []string // what was done, for a failure
}

func (p *past) tell(format string, args ...any) {
	p.told = append(p.told, fmt.Sprintf(format, args...))
}

// lastly gives the last things that were done.
func (p *past) lastly() string { return strings.Join(p.told[max(0, len(p.told)-60):], "\n") }

// history runs some lives, each on the disk that the crash of the last one left.
func history(t *testing.T, seed uint64, lying bool) error {
	p := &past{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), disk: faultfs.New(), lying: lying,
		model: model{there: map[uint64]string{}, unknown: map[string]bool{}, doomed: map[uint64]bool{}, gone: map[uint64]string{}},
	}
	p.disk.SetCapacity(40 << 20)
	p.disk.SetDirect(seed%3 != 0)
	p.encrypts = seed%4 == 1
	p.extents = seed%5 > 1
	p.subjects = []int{5, 100}[seed/2%2]
	for life := range 4 {
		if err := p.life(life); err != nil {
			return fmt.Errorf("life %d: %w\n%s", life, err, p.lastly())
		}
		mode := faultfs.Modes[p.rng.IntN(len(faultfs.Modes))]
		p.tell("crash %v", mode)
		p.disk = p.disk.CrashClone(mode, p.rng.Uint64())
	}
	if err := p.open(); err != nil {
		return err
	}
	defer p.end()
	if err := p.check(); err != nil {
		return fmt.Errorf("%w\n%s", err, p.lastly())
	}
	return nil
}

// life opens the server, checks what is there, and works until the disk stops or
// enough was done.
func (p *past) life(number int) error {
	p.disk.IgnoreSyncs(p.lying)
	p.disk.StopAfter(p.disk.Ops() + 30 + p.rng.Uint64N(1500))
	err := p.open()
	if errors.Is(err, faultfs.ErrStopped) {
		return nil // a crash while recovering
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { p.end() }()
	if err := p.check(); err != nil {
		return err
	}
	for range 150 {
		if p.n.storage.journal.Err() != nil {
			return nil
		}
		if err := p.step(); err != nil {
			return err
		}
	}
	return nil
}

func (p *past) open() error {
	c := defaultConfig()
	c.JetStream.StoreDir = "data"
	c.JetStream.ReclaimRate, c.JetStream.ReclaimFrom = 1<<40, 2_000
	if p.encrypts {
		c.JetStream.Encryption, c.JetStream.Compression = testKey("history"), atrest.S2
	}
	if p.extents {
		c.JetStream.ExtentFrom = 5_000
	}
	c.settle()
	r, err := buildOn(p.disk, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r.start(context.Background())
	p.n = &node{p.t, r, r.spaces.Get("$G")}
	return nil
}

// end stops the server; on a disk that stopped that cannot go well.
func (p *past) end() { _ = p.n.close(context.Background()) }

// check holds the stream against the model, and takes over what is there.
func (p *past) check() error {
	s := p.n.streams.Find("$G", "S")
	m := &p.model
	if s == nil {
		if m.created {
			return errors.New("the stream is gone")
		}
		return nil
	}
	there, payloads := map[uint64]string{}, map[string]bool{}
	r := s.Partition().Reader(s.Partition().First())
	defer r.Close()
	for last := uint64(0); ; {
		v, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, faultfs.ErrStopped) {
			return nil // the next life will see
		}
		if err != nil {
			return fmt.Errorf("read after %d: %w", last, err)
		}
		got := string(v.Subject) + " " + string(v.Data)
		switch {
		case v.Seq <= last || payloads[got]:
			return fmt.Errorf("record %d after %d, or twice: %.20s", v.Seq, last, got)
		case m.gone[v.Seq] != "":
			return fmt.Errorf("record %d is %.20s, where %.20s was removed", v.Seq, got, m.gone[v.Seq])
		case m.there[v.Seq] != got && !m.unknown[got]:
			return fmt.Errorf("record %d was never published, it was %.20s and is %.20s", v.Seq, m.there[v.Seq], got)
		}
		last, there[v.Seq], payloads[got] = v.Seq, got, true
	}
	for seq, want := range m.there {
		if there[seq] != want && !m.doomed[seq] {
			return fmt.Errorf("record %d is lost: %.20s", seq, want)
		}
	}
	st := s.Partition().Status()
	if err := p.checkSubjects(s.Partition(), there); err != nil {
		return err
	}
	p.tell("found %d records, %d to %d", len(there), st.First, st.Last)
	m.created, m.there = true, there
	clear(m.doomed)
	clear(m.unknown)
	return nil
}

// checkSubjects holds the subject index against the records that are there.
func (p *past) checkSubjects(part *partition.Partition, there map[uint64]string) error {
	want := map[string]uint64{}
	for _, what := range there {
		name, _, _ := strings.Cut(what, " ")
		want[name]++
	}
	if n := part.Status().Subjects; n != len(want) {
		return fmt.Errorf("%d subjects are counted, there are %d", n, len(want))
	}
	got := part.Subjects("")
	if _, err := p.disk.List("data"); errors.Is(err, faultfs.ErrStopped) {
		return nil // the next life will see
	}
	for _, s := range got {
		if want[s.Subject] != s.Count {
			return fmt.Errorf("%d records of %s are counted, there are %d", s.Count, s.Subject, want[s.Subject])
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d subjects are listed, there are %d", len(got), len(want))
	}
	return nil
}

// step does one thing that a client may do.
func (p *past) step() error {
	m := &p.model
	if p.n.streams.Find("$G", "S") == nil {
		a, ok := p.ask("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.*"],"allow_direct":true}`)
		m.created = m.created || ok && a["error"] == nil
		return nil
	}
	switch x := p.rng.IntN(100); {
	case x < 70:
		return p.publish()
	case x < 82 && len(m.there) > 0:
		seqs := slices.Sorted(maps.Keys(m.there))
		return p.remove(func(seq uint64, _ string) bool { return seq == seqs[len(seqs)/2] },
			"$JS.API.STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d}`, seqs[len(seqs)/2]))
	case x < 86:
		subject := fmt.Sprintf("s.%d", p.rng.IntN(p.subjects))
		return p.remove(func(_ uint64, what string) bool { return strings.HasPrefix(what, subject+" ") },
			"$JS.API.STREAM.PURGE.S", fmt.Sprintf(`{"filter":%q}`, subject))
	case x < 93:
		p.tell("checkpoint: %v", p.n.storage.checkpointAll()) // fails where the disk stopped
	case x < 96:
		p.tell("reclaim")
		p.n.storage.reclaim.round(context.Background(), time.Now().Add(time.Hour))
	case x < 98:
		p.tell("restart")
		p.end()
		if err := p.open(); err != nil {
			if !errors.Is(err, faultfs.ErrStopped) {
				return fmt.Errorf("open again: %w", err)
			}
			return p.reopenStopped()
		}
		return p.check()
	}
	return nil
}

// reopenStopped goes on, after a disk that stopped while the server started, with
// what a crash left.
func (p *past) reopenStopped() error {
	p.disk = p.disk.CrashClone(faultfs.DropUnsynced, p.rng.Uint64())
	if err := p.open(); err != nil {
		return fmt.Errorf("open after a crash: %w", err)
	}
	return p.check()
}

// publish sends some messages at once and notes what became of each.
func (p *past) publish() error {
	m := &p.model
	in, done := p.listen()
	defer done()
	count := 1 + p.rng.IntN(8)
	sent := make(map[string]string, count) // by reply subject
	for i := range count {
		subject := fmt.Sprintf("s.%d", p.rng.IntN(p.subjects))
		size := p.rng.IntN(300)
		if p.rng.IntN(6) == 0 {
			size = p.rng.IntN(90_000)
		}
		data := append(fmt.Appendf(nil, "%d ", m.next), bytes.Repeat([]byte{'x'}, size)...)
		m.next++
		reply := fmt.Sprintf("_INBOX.fault.%d", i)
		sent[reply] = subject + " " + string(data)
		m.unknown[sent[reply]] = true
		p.n.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(reply), Data: data})
	}
	for range count {
		a, ok := p.await(in)
		if !ok {
			p.tell("published %d, not all answered", count)
			return nil
		}
		what := sent[a.subject]
		delete(m.unknown, what)
		if a.body["error"] != nil {
			continue
		}
		seq := uint64(a.body["seq"].(float64))
		if was, taken := m.there[seq]; taken {
			return fmt.Errorf("sequence %d was given to %.20s and to %.20s", seq, was, what)
		}
		m.there[seq] = what
	}
	p.tell("published %d", count)
	return nil
}

// remove asks for a removal and notes what it takes.
func (p *past) remove(takes func(uint64, string) bool, subject, body string) error {
	m := &p.model
	answer, ok := p.ask(subject, body)
	p.tell("%s %s: %v %v", subject, body, ok, answer)
	for seq, what := range m.there {
		switch {
		case !takes(seq, what):
		case ok && answer["error"] == nil:
			delete(m.there, seq)
			m.gone[seq] = what
		default:
			m.doomed[seq] = true
		}
	}
	return nil
}

// answers collects replies with the subjects that they came to.
type answers struct{ c chan answer }

type answer struct {
	subject string
	body    map[string]any
	raw     []byte
}

func (a *answers) OpenStage(*broker.Publisher) broker.Stage { return a }
func (a *answers) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	a.c <- answer{subject: string(m.Subject), raw: bytes.Clone(m.Data)}
	return broker.Staged
}
func (a *answers) HandOver() {}

// listen begins to collect answers, until done is called.
func (p *past) listen() (in *answers, done func()) {
	in = &answers{c: make(chan answer, 64)}
	sub := &broker.Subscription{Subject: "_INBOX.fault.*", Kind: broker.KindClient, Sink: in}
	p.n.space.Subscribe(sub)
	return in, func() { p.n.space.Unsubscribe(sub) }
}

// ask sends a request; ok says that it was answered.
func (p *past) ask(subject, body string) (map[string]any, bool) {
	in, done := p.listen()
	defer done()
	p.n.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte("_INBOX.fault.api"), Data: []byte(body)})
	for {
		a, ok := p.await(in)
		if !ok || a.subject == "_INBOX.fault.api" {
			return a.body, ok
		}
	}
}

// await waits for an answer, as long as the journal lives.
func (p *past) await(in *answers) (a answer, ok bool) {
	select {
	case a = <-in.c:
	case <-p.n.storage.journal.Dead():
		select {
		case a = <-in.c:
		case <-time.After(50 * time.Millisecond): // it may still be on its way
			return a, false
		}
	case <-time.After(20 * time.Second):
		p.t.Errorf("WEIR_FAULT_SEED=%d: no answer, and the journal lives\n%s", p.seed, p.lastly())
		return a, false
	}
	if err := json.Unmarshal(a.raw, &a.body); err != nil {
		p.t.Errorf("answer %s: %v", a.raw, err)
		return a, false
	}
	return a, true
}
