package jetstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

const counting = `"allow_msg_counter":true`

// counts publishes an increment and wants this total.
func (r *rig) counts(total, subject, incr string, kv ...string) {
	r.t.Helper()
	if a := r.publish(subject, "", append(kv, "Nats-Incr", incr)...); a.Error != nil || a.Val != total {
		r.t.Fatalf("%s on %s: total %q, error %+v, want %s", incr, subject, a.Val, a.Error, total)
	}
}

// says wants the last message of a subject to say a total.
func (r *rig) says(stream, subject, total string) (header string) {
	r.t.Helper()
	a := r.ok("STREAM.MSG.GET."+stream, fmt.Sprintf(`{"last_by_subj":%q}`, subject))
	if string(a.Message.Data) != `{"val":"`+total+`"}` {
		r.t.Fatalf("%s says %s, want %s", subject, a.Message.Data, total)
	}
	return string(a.Message.Hdrs)
}

func TestACounterAnswersWithItsTotal(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", counting)
	r.counts("1", "s.a", "1")
	r.counts("3", "s.a", "+2")
	r.counts("-97", "s.a", "-100")
	r.counts("5", "s.b", "5")
	r.counts("99999999999999999999999999", "s.b", "99999999999999999999999994")
	if h := r.says("S", "s.a", "-97"); !strings.Contains(h, "Nats-Incr: -100") {
		t.Errorf("stored with %q", h)
	}
	a := r.publish("s.a", "", "Nats-Incr", "1", "Nats-Msg-Id", "i")
	if b := r.publish("s.a", "", "Nats-Incr", "1", "Nats-Msg-Id", "i"); a.Val != "-96" || !b.Duplicate || b.Seq != a.Seq || b.Val != "" {
		t.Errorf("a duplicate gets %+v after %+v", b, a)
	}
	r.counts("-95", "s.a", "1")
}

func TestACounterGoesOnAfterACrashAndAPurge(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", counting, `"max_msgs_per_subject":1`)
	for i := range 6 {
		r.counts(fmt.Sprint(2*i+1), "s.a", "1")
		r.counts(fmt.Sprint(i+1), "s.b", "1")
		r = on(t, r.Crash(faultfs.DropUnsynced, uint64(i)))
		r.counts(fmt.Sprint(2*i+2), "s.a", "1")
		if i%2 == 0 {
			r = r.restart()
		}
	}
	r.ok("STREAM.PURGE.S", `{"filter":"s.a"}`)
	r.counts("7", "s.a", "7")
	r.counts("7", "s.b", "1")
}

func TestACounterInMemoryCounts(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", counting, `"storage":"memory"`)
	r.counts("1", "s.a", "1")
	r.counts("0", "s.a", "-1")
}

// TestWhatACounterRefuses: in a stream that counts, and in one that does not.
func TestWhatACounterRefuses(t *testing.T) {
	r := newRig(t)
	r.stream("P", "p.>")
	r.denied(wire.CodeIncrDisabled, "p.a", "", "Nats-Incr", "1")
	r.denied(wire.CodeIncrInvalid, "p.a", "", "Nats-Incr", "one")
	r.stream("S", "s.>", counting, `"max_msg_size":60`)
	r.denied(wire.CodeIncrMissing, "s.a", "")
	r.denied(wire.CodeIncrMissing, "s.a", "5", "X", "y")
	r.denied(wire.CodeIncrMissing, "s.a", "")
	r.denied(wire.CodeIncrPayload, "s.a", "5", "Nats-Incr", "1")
	r.denied(wire.CodeIncrInvalid, "s.a", "", "Nats-Incr", "1", "Nats-Rollup", "sub")
	r.denied(wire.CodeIncrInvalid, "s.a", "", "Nats-Incr", "1", "Nats-Expected-Last-Sequence", "0")
	r.denied(wire.CodeMessageExceedsMaximum, "s.a", "", "Nats-Incr", strings.Repeat("9", 20)) // with its total
	r.counts("1", "s.a", "1")
	for _, bad := range []string{
		`"discard":"new"`, `"allow_msg_ttl":true`, `"allow_msg_schedules":true`, `"retention":"workqueue"`, `"retention":"interest"`,
		`"subject_delete_marker_ttl":1000000000`,
	} {
		r.refused(wire.CodeStreamInvalidConfig, "STREAM.CREATE.T", streamConfig("T", "t", counting, bad))
	}
	r.refused(wire.CodeMirrorWithCounters, "STREAM.CREATE.T", `{"name":"T","mirror":{"name":"S"},"allow_msg_counter":true}`)
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.S", streamConfig("S", "s.>", `"max_msg_size":60`))
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.P", streamConfig("P", "p.>", counting))
}

func TestABrokenCounterIsNotCountedOn(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", counting)
	r.counts("1", "s.a", "1")
	p := r.Streams.Find("A", "S").Partition()
	refill(t, p, &record.View{Subject: []byte("s.b"), Data: []byte("not a total"), Time: 1}) // as a backup may have it
	r.denied(wire.CodeCounterBroken, "s.b", "", "Nats-Incr", "1")
	r.counts("2", "s.a", "1")
}

func TestPublishersCountTogether(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", counting)
	var wg sync.WaitGroup
	const clients, each = 6, 40
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range each {
				in := streamtest.Send(t, r.space, "s.a", header("Nats-Incr", "2"), nil)
				if _, ok := within(t, in.C); !ok {
					t.Error("no answer")
				}
				in.Close()
			}
		}()
	}
	wg.Wait()
	r.says("S", "s.a", fmt.Sprint(2*clients*each))
}

func TestACounterCountsInAnAtomicBatch(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", counting, whole)
	r.counts("1", "s.a", "1")
	r.taken("b", 1, "s.a", "", "Nats-Incr", "10")
	r.taken("b", 2, "s.b", "", "Nats-Incr", "5")
	r.breaks(wire.CodeIncrMissing, "b", 3, "s.a", "", "Nats-Batch-Commit", "1")
	r.taken("c", 1, "s.a", "", "Nats-Incr", "10")
	r.taken("c", 2, "s.b", "", "Nats-Incr", "5")
	if a := r.ends("c", 3, "s.a", "", "Nats-Batch-Commit", "1", "Nats-Incr", "100"); a.Seq != 4 || a.Count != 3 || a.Val != "" {
		t.Fatalf("%+v %+v", a, a.Error)
	}
	r.says("S", "s.a", "111")
	r.says("S", "s.b", "5")
}

func TestACounterIsRepublishedWithItsTotal(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", counting, `"republish":{"src":">","dest":"again.>"}`)
	in := streamtest.Subscribe(t, r.space, "again.>")
	defer in.Close()
	r.counts("2", "s.a", "2")
	r.counts("5", "s.a", "3")
	in.Next(t)
	if m := in.Next(t); string(m.Data) != `{"val":"5"}` || !strings.Contains(string(m.Header), "Nats-Incr: 3") {
		t.Errorf("republished as %q %q", m.Header, m.Data)
	}
}

// TestASourcedCounterIsRightWhateverItsSourcesForget: a source brings totals, and the
// stream adds what they have grown by.
func TestASourcedCounterIsRightWhateverItsSourcesForget(t *testing.T) {
	r := newRig(t)
	r.stream("EU", "eu.hits", counting, `"max_msgs_per_subject":1`)
	r.stream("US", "us.hits", counting)
	r.counts("4", "eu.hits", "4")
	r.counts("6", "eu.hits", "2")
	r.counts("1", "us.hits", "1")
	const all = `{"name":"ALL","subjects":["all.hits"],"allow_msg_counter":true,"sources":[
		{"name":"EU","subject_transforms":[{"src":"eu.hits","dest":"all.hits"}]},
		{"name":"US","subject_transforms":[{"src":"us.hits","dest":"all.hits"}]}]}`
	r.ok("STREAM.CREATE.ALL", all)
	total := func(want string) {
		t.Helper()
		streamtest.Await(t, "the total is "+want, func() bool {
			v, err := r.Streams.Find("A", "ALL").Partition().LastOf("all.hits")
			return err == nil && string(v.Data) == `{"val":"`+want+`"}`
		})
	}
	total("7")
	r.counts("10", "eu.hits", "4")
	total("11")
	r.counts("12", "all.hits", "1")
	r = r.restart()
	r.counts("-90", "us.hits", "-91")
	total("-79")
	h := r.says("ALL", "all.hits", "-79")
	for _, line := range []string{"Nats-Incr: -91", `"EU":{"eu.hits":"10"}`, `"US":{"us.hits":"-90"}`, "Nats-Stream-Source: US 2 "} {
		if !strings.Contains(h, line) {
			t.Errorf("%q is not in %q", line, h)
		}
	}
	r.ok("STREAM.CREATE.FAR", `{"name":"FAR","allow_msg_counter":true,"sources":[{"name":"ALL"}]}`)
	streamtest.Await(t, "the next stream has the total", func() bool {
		v, err := r.Streams.Find("A", "FAR").Partition().LastOf("all.hits")
		return err == nil && string(v.Data) == `{"val":"-79"}` && strings.Contains(string(v.Header), `Nats-Counter-Sources: {"ALL":{"all.hits":"-79"}}`)
	})
}

// TestAMirrorOfACounterIsItsCopy: it does not count, nor can it begin to when it is
// promoted.
func TestAMirrorOfACounterIsItsCopy(t *testing.T) {
	r := newRig(t)
	r.stream("C", "c.>", counting)
	r.counts("3", "c.a", "3")
	r.ok("STREAM.CREATE.M", `{"name":"M","mirror":{"name":"C"}}`)
	r.counts("5", "c.a", "2")
	streamtest.Await(t, "the mirror has both", func() bool { return r.Streams.Find("A", "M").Partition().Committed() == 2 })
	if h := r.says("M", "c.a", "5"); !strings.Contains(h, "Nats-Incr: 2\r\n") || strings.Contains(h, "Sources") {
		t.Errorf("the mirror has %q", h)
	}
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.M", streamConfig("M", "m.>", counting))
	r.ok("STREAM.UPDATE.M", streamConfig("M", "m.>"))
	r.denied(wire.CodeIncrDisabled, "m.a", "", "Nats-Incr", "1")
}

// TestACounterIsRestoredWithItsTotals makes a stream of what another one has stored,
// and counts on.
func TestACounterIsRestoredWithItsTotals(t *testing.T) {
	r := newRig(t)
	r.stream("C", "c.>", counting)
	r.counts("3", "c.a", "3")
	v, err := r.Streams.Find("A", "C").Partition().Get(1)
	if err != nil {
		t.Fatal(err)
	}
	r.stream("D", "d.>", counting)
	v.Subject = []byte("d.a")
	refill(t, r.Streams.Find("A", "D").Partition(), &v)
	r.counts("4", "d.a", "1")
}

// TestASourceThatIsNoCounterIsPassedOver: what cannot be counted does not keep the
// rest from being copied.
func TestASourceThatIsNoCounterIsPassedOver(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o.>")
	r.stored(1, "o.a", "text")
	r.stored(2, "o.a", `{"val":"5"}`)
	r.stream("C", "c.>", counting)
	r.counts("3", "c.a", "3")
	r.ok("STREAM.CREATE.S", `{"name":"S","allow_msg_counter":true,"sources":[{"name":"O"},{"name":"C"}]}`)
	r.stored(3, "o.b", "more")
	r.counts("4", "c.a", "1")
	streamtest.Await(t, "the counter is copied", func() bool {
		v, err := r.Streams.Find("A", "S").Partition().LastOf("c.a")
		return err == nil && string(v.Data) == `{"val":"4"}`
	})
	streamtest.Await(t, "all of the other is passed over", func() bool {
		for _, o := range r.Streams.Find("A", "S").Origins() {
			if o.Lag != 0 || o.Err != nil {
				return false
			}
		}
		return true
	})
	r = r.restart()
	r.keeps("S", 1, 2)
}

// refill stores a record as it is.
func refill(t *testing.T, p *partition.Partition, v *record.View) {
	t.Helper()
	var area record.Area
	area.Append(&record.Parts{Subject: v.Subject, Header: v.Header, Data: v.Data})
	done := make(chan error, 1)
	places := []record.Place{{Seq: p.Committed() + 1, Time: v.Time}}
	if err := p.Refill(&area, places, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
