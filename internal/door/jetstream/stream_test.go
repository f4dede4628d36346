package jetstream

import (
	"fmt"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func TestTwoStreamsNeverCaptureTheSameSubject(t *testing.T) {
	r := newRig(t)
	r.stream("S", "a.> b")
	r.refused(wire.CodeSubjectOverlap, "STREAM.CREATE.T", streamConfig("T", "a.*"))
	r.stream("T", "c")
	r.refused(wire.CodeSubjectOverlap, "STREAM.UPDATE.T", streamConfig("T", "c b"))
	r.ok("STREAM.UPDATE.T", streamConfig("T", "c d"))
	r.refused(wire.CodeSubjectOverlap, "STREAM.CREATE.U", streamConfig("U", "d"))
	r.ok("STREAM.DELETE.S", "")
	r.stream("U", "a.x")
}

func TestConcurrentCreationsOfOverlappingStreamsLetOneIn(t *testing.T) {
	r := newRig(t)
	for round := range 10 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var in []string
		for i := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				name := fmt.Sprintf("S%d", i)
				a := r.api("STREAM.CREATE."+name, streamConfig(name, "x.> y"))
				mu.Lock()
				defer mu.Unlock()
				if a.Error == nil {
					in = append(in, name)
				} else if a.Error.ErrCode != wire.CodeSubjectOverlap {
					t.Errorf("%s: %+v", name, *a.Error)
				}
			}()
		}
		wg.Wait()
		if len(in) != 1 {
			t.Fatalf("round %d: %v were created", round, in)
		}
		r.ok("STREAM.DELETE."+in[0], "")
	}
}

func TestConcurrentEqualCreationsAllSucceed(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if a := r.api("STREAM.CREATE.S", streamConfig("S", "s")); a.Error != nil {
				t.Errorf("%+v", *a.Error)
			}
		}()
	}
	wg.Wait()
	r.refused(wire.CodeStreamNameExist, "STREAM.CREATE.S", streamConfig("S", "s", `"max_msgs":1`))
}

func TestAChangedConfigurationHoldsAndSurvives(t *testing.T) {
	r := newRig(t)
	r.stream("S", "a")
	r.stored(1, "a", "1")
	r.ok("STREAM.UPDATE.S", streamConfig("S", "b", `"max_msgs":2`))
	check := func(r *rig) {
		t.Helper()
		if a := r.ok("STREAM.INFO.S", ""); !strings.Contains(string(a.Config), `"subjects":["b"]`) || !strings.Contains(string(a.Config), `"maxmsgs":2`) {
			t.Fatalf("configuration %s", a.Config)
		}
	}
	check(r)
	for i := range uint64(3) {
		r.stored(2+i, "b", "x")
	}
	r.stream("T", "a") // the name is free
	r.ok("STREAM.DELETE.T", "")
	r = on(t, r.Crash(faultfs.DropUnsynced, 1))
	check(r)
	r = r.restart() // from a checkpoint
	check(r)
	r.stored(5, "b", "x")
	if st := r.ok("STREAM.INFO.S", "").State; st.Messages != 2 || st.FirstSeq != 4 {
		t.Fatalf("state %+v", st)
	}
}

func TestOldMessagesGo(t *testing.T) {
	gone := func(r *rig) {
		t.Helper()
		streamtest.Await(t, "the old messages are gone", func() bool { return r.ok("STREAM.INFO.S", "").State.Messages == 0 })
	}
	age := `"max_age":200000000,"duplicate_window":100000000`
	for _, storage := range []string{`"storage":"file"`, `"storage":"memory"`} {
		r := newRig(t)
		r.stream("S", "s.>", age, storage)
		r.fill(3)
		gone(r)
		r.stored(4, "s.0", "4")
		gone(r)
		// The age may come later, and get shorter.
		r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", storage))
		r.stored(5, "s.0", "5")
		r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", storage, `"max_age":3600000000000`))
		streamtest.Await(t, "the age is set", func() bool { return r.Streams.Find("A", "S").Partition().Limits().MaxAge > 0 })
		r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", storage, age))
		gone(r)
	}
	r := newRig(t)
	r.stream("S", "s.>", age)
	r.fill(3)
	r = r.restart()
	gone(r)
}

func TestPurgeKeepsWhatItIsToldTo(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		purged uint64
		left   string
	}{
		"all":                 {``, 9, ""},
		"below":               {`{"seq":5}`, 4, "5 6 7 8 9"},
		"keep":                {`{"keep":2}`, 7, "8 9"},
		"subject":             {`{"filter":"s.1"}`, 3, "1 3 4 6 7 9"},
		"subject, keep":       {`{"filter":"s.1","keep":1}`, 2, "1 3 4 6 7 8 9"},
		"subject, below":      {`{"filter":"s.1","seq":5}`, 1, "1 3 4 5 6 7 8 9"},
		"more kept than held": {`{"keep":20}`, 0, "1 2 3 4 5 6 7 8 9"},
	} {
		r := newRig(t)
		r.stream("S", "s.>")
		r.fill(9)
		if a := r.ok("STREAM.PURGE.S", c.body); a.Purged != c.purged {
			t.Errorf("%s: purged %d, want %d", name, a.Purged, c.purged)
		}
		r.consumer("S", "c")
		var left []string
		for _, m := range r.fetch("S", "c", 20) {
			left = append(left, string(m.Data))
		}
		if s := strings.Join(left, " "); s != c.left {
			t.Errorf("%s: left %q, want %q", name, s, c.left)
		}
	}
}

func TestMessagesAreFoundBySequenceSubjectAndTime(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"allow_direct":true`)
	r.fill(6)
	for body, want := range map[string]string{
		`{"seq":2}`:                             "2",
		`{"last_by_subj":"s.0"}`:                "4",
		`{"seq":2,"next_by_subj":"s.0"}`:        "4",
		`{"next_by_subj":"s.>"}`:                "1",
		`{"last_by_subj":"s.*"}`:                "6",
		`{"seq":9}`:                             "",
		`{"last_by_subj":"s.9"}`:                "",
		`{"seq":6,"next_by_subj":"s.0"}`:        "",
		`{"start_time":"2001-01-01T00:00:00Z"}`: "1",
	} {
		if !strings.Contains(body, "start_time") {
			a := r.api("STREAM.MSG.GET.S", body)
			if s := ""; a.Message == nil && s != want || a.Message != nil && string(a.Message.Data) != want {
				t.Errorf("get %s: %+v, want %q", body, a, want)
			}
		}
		m := streamtest.Request(t, r.space, "$JS.API.DIRECT.GET.S", nil, []byte(body))
		if string(m.Data) != want || (want == "") != strings.HasPrefix(string(m.Header), "NATS/1.0 404") {
			t.Errorf("direct get %s: %s %q, want %q", body, m.Header, m.Data, want)
		}
	}
	if m := streamtest.Request(t, r.space, "$JS.API.DIRECT.GET.S.s.1", nil, nil); string(m.Data) != "5" {
		t.Errorf("direct get by subject: %q", m.Data)
	}
	in := streamtest.Send(t, r.space, "$JS.API.DIRECT.GET.S", nil, []byte(`{"multi_last":["s.*"],"up_to_seq":5}`))
	var seqs []string
	for range 3 {
		seqs = append(seqs, string(in.Next(t).Data))
	}
	if !slices.Equal(seqs, []string{"3", "4", "5"}) {
		t.Errorf("the last of each up to 5 are %v", seqs)
	}
}

func TestEveryRequestIsAnswered(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	r.consumer("S", "c")
	for _, req := range []string{
		"INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO.S", "STREAM.INFO.X", "STREAM.UPDATE.X", "STREAM.DELETE.X", "STREAM.PURGE.X",
		"STREAM.SNAPSHOT.S", "STREAM.RESTORE.T", "STREAM.MSG.GET.S", "STREAM.MSG.DELETE.S", "STREAM.PEER.REMOVE.S", "STREAM.LEADER.STEPDOWN.S",
		"CONSUMER.CREATE.S", "CONSUMER.CREATE.S.x", "CONSUMER.DURABLE.CREATE.S.x", "CONSUMER.NAMES.S", "CONSUMER.LIST.S", "CONSUMER.INFO.S.c",
		"CONSUMER.INFO.S.x", "CONSUMER.DELETE.S.x", "CONSUMER.PAUSE.S.c", "CONSUMER.UNPIN.S.c", "CONSUMER.RESET.S.c", "CONSUMER.LEADER.STEPDOWN.S.c",
		"DIRECT.GET.S", "DIRECT.GET.X",
	} {
		for _, body := range []string{"", "{", "{}", `{"name":1}`, "null", `[]`} {
			if m := streamtest.Request(t, r.space, "$JS.API."+req, nil, []byte(body)); len(m.Data)+len(m.Header) == 0 {
				t.Errorf("%s %s: an empty answer", req, body)
			}
		}
	}
	r.refused(wire.CodeStreamNotFound, "CONSUMER.DURABLE.CREATE.X.c", durableConfig("X", "c"))
}

func TestUsageAndLimitsOfTheAccountAreTold(t *testing.T) {
	a := &account.Account{Name: "A"}
	a.JetStream.MaxStorage, a.JetStream.MaxMemory = 1000, 500
	r := newRigFor(t, a)
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.CREATE.S", streamConfig("S", "s", `"max_bytes":2000`))
	r.refused(wire.CodeMemoryResourcesExceeded, "STREAM.CREATE.S", streamConfig("S", "s", `"max_bytes":600`, `"storage":"memory"`))
	r.stream("S", "s")
	m := streamtest.Request(t, r.space, "$JS.API.INFO", nil, nil)
	for _, want := range []string{`"streams":1`, `"max_storage":1000`, `"max_memory":500`} {
		if !strings.Contains(string(m.Data), want) {
			t.Errorf("%s is not in %s", want, m.Data)
		}
	}
	a.JetStream.Enabled = false
	r.refused(wire.CodeNotEnabledForAccount, "INFO", "")
}

// TestPendingIsWhatIsThere runs random histories and compares each filtered
// consumer's number of pending messages with what counting them gives.
func TestPendingIsWhatIsThere(t *testing.T) {
	for seed := range int64(3) {
		rnd := rand.New(rand.NewSource(seed))
		r := newRig(t)
		limits := []string{`"max_msgs":40`, `"max_msgs_per_subject":9`, `"max_msgs":-1`}[seed%3]
		r.stream("S", "s.>", limits, `"allow_rollup_hdrs":true`)
		filters := map[string]string{"all": "", "one": "s.1", "wild": "s.*", "none": "s.x.y", "again": "s.1"}
		for name, f := range filters {
			r.consumer("S", name, fmt.Sprintf(`"filter_subject":%q,"ack_policy":"none"`, f))
		}
		for step := range 250 {
			r.randomStep(rnd, filters)
			if step%25 == 24 {
				if step == 124 {
					r = r.restart()
				}
				r.checkPending(seed, step, filters)
			}
		}
	}
}

func (r *rig) randomStep(rnd *rand.Rand, filters map[string]string) {
	last := r.Streams.Find("A", "S").Partition().Committed()
	switch n := rnd.Intn(20); {
	case n < 12:
		subject := "s." + strconv.Itoa(rnd.Intn(4))
		if rnd.Intn(40) == 0 {
			r.publish(subject, "x", "Nats-Rollup", "sub")
			return
		}
		r.publish(subject, "x")
	case n < 15 && last > 0:
		r.api("STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d}`, 1+rnd.Int63n(int64(last))))
	case n == 15 && rnd.Intn(4) == 0:
		r.ok("STREAM.PURGE.S", []string{`{"filter":"s.1"}`, `{"keep":3}`, ``, `{"filter":"s.2","keep":1}`}[rnd.Intn(4)])
	default:
		names := []string{"all", "one", "wild", "none", "again"}
		r.fetch("S", names[rnd.Intn(len(names))], 1+rnd.Intn(6))
	}
}

// checkPending compares with a reading of the log.
func (r *rig) checkPending(seed int64, step int, filters map[string]string) {
	r.t.Helper()
	p := r.Streams.Find("A", "S").Partition()
	for name, f := range filters {
		var was, want uint64
		ok := func() bool {
			a := r.info("S", name)
			was, want = a.NumPending, 0
			for seq := a.Delivered.StreamSeq + 1; seq <= p.Committed(); seq++ {
				v, err := p.Get(seq)
				if err == nil && (f == "" || f == string(v.Subject) || f == "s.*") {
					want++
				}
			}
			return was == want
		}
		for deadline := time.Now().Add(streamtest.Patience); !ok(); {
			if time.Now().After(deadline) {
				r.t.Fatalf("seed %d, step %d: %s has %d pending, there are %d", seed, step, name, was, want)
			}
		}
	}
}
