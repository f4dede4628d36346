package partition

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// The rig is a Gatherer.
func (r *rig) Gathered(*Batch, *Batch) { r.joined++ }
func (r *rig) Due()                    { r.due++ }

// gather is publish for messages that may wait.
func (r *rig) gather(now int64, msgs ...msg) { r.p.Gather(now, batchOf(msgs)) }

func batchOf(msgs []msg) *Batch {
	b := &Batch{}
	for _, m := range msgs {
		p := record.Parts{Subject: []byte(m.subject), Data: []byte(m.data)}
		if m.cond.HasLast {
			b.Conds = append(b.Conds, make([]Conditions, b.Area.Len()-len(b.Conds))...)
			b.Conds = append(b.Conds, m.cond)
		} else if len(b.Conds) > 0 {
			b.Conds = append(b.Conds, m.cond)
		}
		b.Area.Append(&p)
	}
	return b
}

func TestWhatGathersWhileAFrameIsOnItsWayIsOneFrame(t *testing.T) {
	r := newRig(t, Limits{})
	r.gather(1, msg{subject: "a", data: "1"})
	if len(r.log) != 0 || r.due != 1 {
		t.Fatalf("%d entries and asked %d times to admit, want 0 and 1", len(r.log), r.due)
	}
	r.p.AdmitGathered()
	for i := 2; i <= 4; i++ {
		r.gather(int64(i), msg{subject: "a", data: fmt.Sprint(i)})
	}
	if len(r.log) != 1 || r.due != 1 || r.joined != 2 {
		t.Fatalf("%d entries, asked %d times, %d joined; want 1, 1, 2", len(r.log), r.due, r.joined)
	}
	r.sync()
	r.wantTold("0/1/0")
	if r.due != 2 {
		t.Fatal("nobody is asked to admit what gathered when the frame before has landed")
	}
	r.p.AdmitGathered()
	r.sync()
	r.wantTold("0/2/1 0/3/2 0/4/3")
	r.wantSeqs("1:a=1 2:a=2 3:a=3 4:a=4")
	if v, err := r.p.Get(2); err != nil || v.Time != 4 {
		t.Fatalf("stored at %d (%v), want 4: when the last of them came", v.Time, err)
	}
	if len(r.log) != 2 {
		t.Fatalf("%d entries, want 2", len(r.log))
	}
}

func TestWhatGatheredComesBeforeAllThatFollows(t *testing.T) {
	for name, follow := range map[string]func(r *rig){
		"a batch":        func(r *rig) { r.publish(9, msg{subject: "b", data: "y"}) },
		"a large batch":  func(r *rig) { r.gather(9, msg{subject: "b", data: strings.Repeat("y", gatherEach)}) },
		"an entry":       func(r *rig) { _ = r.p.ProposeRemoval(&Removal{}, nil) },
		"a removal":      func(r *rig) { _, _ = r.p.TrimAll(nil) },
		"a barrier":      func(r *rig) { _ = r.p.Barrier(func(error) {}) },
		"the end":        func(r *rig) { r.p.Retire(func() {}) },
		"a placed frame": func(r *rig) { _ = r.p.RefillEnd(10, 9, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.gather(1, msg{subject: "a", data: "x"})
			follow(r)
			if len(r.log) == 0 {
				t.Fatal("nothing is proposed")
			}
			f, _, err := record.Parse(r.log[0].data)
			if err != nil || f.Count != 1 || f.Base != 1 {
				t.Fatalf("the first entry is not what gathered: %v", err)
			}
			if v, err := f.Record(0); err != nil || string(v.Subject) != "a" {
				t.Fatalf("the first record is on %q: %v", v.Subject, err)
			}
			r.sync()
			if r.told[0] != "0/1/0" {
				t.Fatalf("told %q first", r.told[0])
			}
		})
	}
}

func TestNoMoreGathersThanASmallFrameTakes(t *testing.T) {
	r := newRig(t, Limits{})
	data := strings.Repeat("x", gatherEach/2)
	n := 3 * gatherMost / gatherEach * 2
	for range n {
		r.gather(1, msg{subject: "a", data: data})
	}
	if len(r.log) < 3 {
		t.Fatalf("%d entries of %d batches", len(r.log), n)
	}
	r.p.AdmitGathered()
	records := 0
	for _, e := range r.log {
		f, _, err := record.Parse(e.data)
		if err != nil || len(f.Area) > record.SmallArea {
			t.Fatalf("a frame of %d bytes: %v", len(f.Area), err)
		}
		records += int(f.Count)
	}
	if records != n {
		t.Fatalf("%d records, want %d", records, n)
	}
}

func TestConditionsStayWithTheirRecordsWhenBatchesJoin(t *testing.T) {
	wrong := Conditions{HasLast: true, Last: 77}
	r := newRig(t, Limits{})
	r.gather(1, msg{subject: "a"})
	r.gather(1, msg{subject: "b", cond: wrong})
	r.gather(1, msg{subject: "c"})
	r.gather(1, msg{subject: "d"}, msg{subject: "e", cond: wrong}, msg{subject: "f"})
	r.p.AdmitGathered()
	r.sync()
	r.wantTold(fmt.Sprintf("0/1/0 %d/0/1 0/2/0 0/3/0 %d/0/3 0/4/0", WrongLast, WrongLast))
	r.wantSeqs("1:a= 2:c= 3:d= 4:f=")
}

func TestOnlyPlainBatchesGather(t *testing.T) {
	for name, change := range map[string]func(b *Batch){
		"whole":    func(b *Batch) { b.Whole = true },
		"in order": func(b *Batch) { b.InOrder = true },
		"early":    func(b *Batch) { b.Early = func(error) {} },
		"a look at another record": func(b *Batch) {
			b.Conds = []Conditions{{HasOfSubj: true}}
		},
		"a chain": func(b *Batch) { b.Conds = []Conditions{{Chain: &Chain{}}} },
		"large":   func(b *Batch) { b.Area.Append(&record.Parts{Subject: []byte("a"), Data: make([]byte, gatherEach)}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.quiet = true
			b := batchOf([]msg{{subject: "a"}})
			change(b)
			r.p.Gather(1, b)
			if len(r.log) != 1 {
				t.Fatal("it waits")
			}
		})
	}
}

func TestWhatGatheredIsRefusedWhenTheLogHasFailed(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a"})
	r.gather(1, msg{subject: "b"})
	r.solo.Failed(fmt.Errorf("the disk is gone"))
	if r.due != 1 {
		t.Fatal("nobody is asked to tell of what gathered")
	}
	r.p.AdmitGathered()
	r.wantTold("discarded", fmt.Sprintf("%d/0/0 local", Dead))
}

// crowd is busy with a goroutine that admits what has gathered.
type crowd struct {
	*busy
	asked chan struct{}
}

func (c crowd) Due() {
	select {
	case c.asked <- struct{}{}:
	default:
	}
}

func (c crowd) Gathered(into, b *Batch) {
	into.Owner, b.Owner = both(into.Owner.(func()), b.Owner.(func())), nil
}

func both(a, b func()) func() { return func() { a(); b() } }

func TestPublishersOfALogKeepTheirOrderWhateverGathers(t *testing.T) {
	c := crowd{newBusy(t), make(chan struct{}, 1)}
	c.p.gatherer, c.p.observer = c, c
	const publishers, each = 4, 500
	var work, told sync.WaitGroup
	for k := range publishers {
		told.Add(each)
		work.Go(func() {
			for i := range each {
				b := batchOf([]msg{{subject: fmt.Sprint(k), data: fmt.Sprint(i)}})
				b.Owner = told.Done
				switch i % 16 {
				case 7:
					c.p.Admit(time.Now().UnixNano(), b)
				case 11:
					if _, err := c.p.Trim(1, nil); err != nil {
						t.Error(err)
					}
					fallthrough
				default:
					c.p.Gather(time.Now().UnixNano(), b)
				}
			}
		})
	}
	done, admitted := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(admitted)
		for {
			select {
			case <-c.asked:
				c.p.AdmitGathered()
			case <-done:
				return
			}
		}
	}()
	served := make(chan struct{})
	go func() {
		defer close(served)
		for index := range c.durable {
			c.solo.Durable(index)
		}
	}()
	work.Wait()
	told.Wait() // or the test's time is up: something waits for ever
	close(done)
	<-admitted
	close(c.durable)
	<-served
	next := map[string]int{}
	r := c.p.Reader(0)
	defer r.Close()
	for range publishers * each {
		v, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(next[string(v.Subject)]); string(v.Data) != want {
			t.Fatalf("publisher %s: %s at %d, want %s", v.Subject, v.Data, v.Seq, want)
		}
		next[string(v.Subject)]++
	}
}
