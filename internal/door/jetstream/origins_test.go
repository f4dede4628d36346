package jetstream

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// origins is what STREAM.INFO says of a stream's copies.
type origins struct {
	Mirror  *originAnswer
	Sources []originAnswer
	Config  struct {
		MirrorDirect bool `json:"mirror_direct"`
	}
	State struct {
		Messages uint64
		FirstSeq uint64 `json:"first_seq"`
		LastSeq  uint64 `json:"last_seq"`
	}
}

type originAnswer struct {
	Name   string
	Lag    uint64
	Active int64
	Error  *struct {
		ErrCode     int `json:"err_code"`
		Description string
	}
}

func (r *rig) origins(stream string) origins {
	r.t.Helper()
	var o origins
	b := streamtest.Request(r.t, r.space, "$JS.API.STREAM.INFO."+stream, nil, nil).Data
	if err := json.Unmarshal(b, &o); err != nil {
		r.t.Fatalf("%v in %s", err, b)
	}
	return o
}

// copied creates a stream that has no subjects.
func (r *rig) copied(name, more string) {
	r.t.Helper()
	r.ok("STREAM.CREATE."+name, fmt.Sprintf(`{"name":%q,%s}`, name, more))
}

// kept lists what a stream holds: sequence, subject and data.
func (r *rig) kept(stream string) string {
	r.t.Helper()
	s := r.Streams.Find(r.space.Name(), stream)
	rd := s.Partition().Reader(1)
	defer rd.Close()
	var out []string
	for {
		v, err := rd.Next()
		if err != nil {
			return strings.Join(out, " ")
		}
		out = append(out, fmt.Sprintf("%d:%s=%s", v.Seq, v.Subject, v.Data))
	}
}

func (r *rig) holds(stream, want string) {
	r.t.Helper()
	streamtest.Await(r.t, stream+" holds "+want, func() bool { return r.kept(stream) == want })
}

func TestMirrorKeepsSequencesTimesAndHeaders(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o.>")
	for i := range 5 {
		r.stored(uint64(i+1), "o.a", fmt.Sprint(i), "K", "v")
	}
	r.ok("STREAM.MSG.DELETE.O", `{"seq":1}`)
	r.ok("STREAM.MSG.DELETE.O", `{"seq":3}`)
	r.copied("M", `"mirror":{"name":"O"}`)
	r.holds("M", "2:o.a=1 4:o.a=3 5:o.a=4")
	r.stored(6, "o.b", "5", "Nats-Msg-Id", "x")
	r.holds("M", "2:o.a=1 4:o.a=3 5:o.a=4 6:o.b=5")
	for _, seq := range []uint64{2, 6} {
		a, err := r.Streams.Find("A", "O").Partition().Get(seq)
		b, err2 := r.Streams.Find("A", "M").Partition().Get(seq)
		if err != nil || err2 != nil || a.Time != b.Time || string(a.Header) != string(b.Header) {
			t.Errorf("record %d: %+v, %+v, %v, %v", seq, a, b, err, err2)
		}
	}
	var o origins
	streamtest.Await(t, "the mirror knows that it has all", func() bool {
		o = r.origins("M")
		return o.Mirror != nil && o.Mirror.Lag == 0
	})
	if m := o.Mirror; m.Name != "O" || m.Active < 0 || m.Error != nil || o.State.FirstSeq != 2 || o.State.LastSeq != 6 {
		t.Fatalf("%+v of %+v", o.Mirror, o)
	}
}

func TestMirrorTakesNoPublishesUntilItIsPromoted(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.stored(1, "o", "a")
	r.copied("M", `"mirror":{"name":"O"}`)
	r.holds("M", "1:o=a")
	r.refused(10034, "STREAM.UPDATE.M", `{"name":"M","subjects":["m"],"mirror":{"name":"O"}}`)
	r.refused(10055, "STREAM.UPDATE.M", `{"name":"M","mirror":{"name":"P"}}`)
	r.ok("STREAM.UPDATE.M", `{"name":"M","subjects":["m"]}`)
	r.stored(2, "m", "b")
	r.stored(2, "o", "not copied")
	r.stored(3, "m", "c")
	r.holds("M", "1:o=a 2:m=b 3:m=c")
	if o := r.origins("M"); o.Mirror != nil {
		t.Fatalf("%+v", o.Mirror)
	}
	r = r.restart()
	r.holds("M", "1:o=a 2:m=b 3:m=c")
	r.stored(4, "m", "d")
}

func TestMirrorStartsWhereItIsTold(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	for i := range 3 {
		r.stored(uint64(i+1), "o", fmt.Sprint(i))
	}
	v, err := r.Streams.Find("A", "O").Partition().Get(3)
	if err != nil {
		t.Fatal(err)
	}
	r.copied("BySeq", `"mirror":{"name":"O","opt_start_seq":2}`)
	r.copied("ByTime", fmt.Sprintf(`"mirror":{"name":"O","opt_start_time":%q}`, time.Unix(0, v.Time).UTC().Format(time.RFC3339Nano)))
	r.copied("Later", fmt.Sprintf(`"sources":[{"name":"O","opt_start_time":%q}]`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)))
	r.copied("Both", `"mirror":{"name":"O","opt_start_seq":2,"opt_start_time":"2020-01-01T00:00:00Z"}`)
	r.holds("BySeq", "2:o=1 3:o=2")
	r.holds("ByTime", "3:o=2")
	r.stored(4, "o", "3")
	r.holds("BySeq", "2:o=1 3:o=2 4:o=3")
	r.holds("ByTime", "3:o=2 4:o=3")
	r.holds("Later", "")
	streamtest.Await(t, "both starts are refused", func() bool {
		m := r.origins("Both").Mirror
		return m.Error != nil && m.Error.ErrCode == 10032 && m.Active == -1
	})
}

func TestOriginsMayComeLater(t *testing.T) {
	r := newRig(t)
	r.copied("M", `"mirror":{"name":"O"}`)
	r.copied("S", `"sources":[{"name":"O"},{"name":"X","external":{"api":"$JS.far.API"}}]`)
	missing := func(a *originAnswer) bool { return a.Error != nil && a.Error.ErrCode == 10059 && a.Active == -1 }
	streamtest.Await(t, "the origin is missed", func() bool {
		s := r.origins("S").Sources
		return missing(r.origins("M").Mirror) && missing(&s[0]) && s[1].Error != nil && s[1].Error.ErrCode == 10045
	})
	r.stream("O", "o")
	r.stored(1, "o", "a")
	r.holds("M", "1:o=a")
	r.holds("S", "1:o=a")
	if m := r.origins("M").Mirror; m.Error != nil || m.Active < 0 {
		t.Fatalf("%+v", m)
	}
}

func TestAnOriginThatIsSilentIsSeen(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.copied("M", `"mirror":{"name":"O"}`)
	r.copied("S", `"sources":[{"name":"O"}]`)
	seen := func(a *originAnswer) bool { return a.Active >= 0 && a.Active < int64(time.Second) }
	streamtest.Await(t, "the empty origin is seen", func() bool {
		return seen(r.origins("M").Mirror) && seen(&r.origins("S").Sources[0])
	})
	r.ok("STREAM.DELETE.O", "")
	streamtest.Await(t, "the origin is gone, and was seen", func() bool {
		m := r.origins("M").Mirror
		return m.Error != nil && m.Active > 0
	})
}

func TestSourcedMessagesSayWhereTheyComeFrom(t *testing.T) {
	r := newRig(t)
	r.stream("A1", "a.>")
	r.stream("B1", "b.>")
	r.copied("S", `"subjects":["own"],"sources":[{"name":"A1","subject_transforms":[{"src":"a.*.y","dest":"x.$1"}]},{"name":"B1","filter_subject":"b.1"}]`)
	r.stored(1, "a.1.y", "1", "Nats-Expected-Stream", "A1", "K", "v")
	r.holds("S", "1:x.1=1")
	r.stored(2, "a.2.z", "no")
	r.stored(1, "b.2", "no")
	r.stored(2, "b.1", "2")
	r.holds("S", "1:x.1=1 2:b.1=2")
	r.stored(3, "own", "3")
	for seq, want := range map[uint64]string{
		1: "NATS/1.0\r\nK: v\r\nNats-Stream-Source: A1 1 a.*.y x.$1 a.1.y\r\n\r\n",
		2: "NATS/1.0\r\nNats-Stream-Source: B1 2 b.1 > b.1\r\n\r\n",
	} {
		if v, err := r.Streams.Find("A", "S").Partition().Get(seq); err != nil || string(v.Header) != want {
			t.Errorf("header of %d: %q, %v", seq, v.Header, err)
		}
	}
	r.denied(10227, "own", "", "Nats-Stream-Source", "A1 1 > > a")
}

func TestSourcesAreAddedAndRemoved(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.stream("P", "p")
	r.stored(1, "o", "1")
	r.stored(1, "p", "2")
	r.copied("S", `"sources":[{"name":"O"}]`)
	r.holds("S", "1:o=1")
	r.ok("STREAM.UPDATE.S", `{"name":"S","sources":[{"name":"P"}]}`)
	r.holds("S", "1:o=1 2:p=2")
	r.stored(2, "o", "3")
	r.stored(2, "p", "4")
	r.holds("S", "1:o=1 2:p=2 3:p=4")
	r.ok("STREAM.UPDATE.S", `{"name":"S","sources":[{"name":"P"},{"name":"O"}]}`)
	r.holds("S", "1:o=1 2:p=2 3:p=4 4:o=3")
}

func TestSourceFindsDuplicatesOnlyWithinAWindow(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o", `"duplicate_window":100000000`)
	r.copied("All", `"sources":[{"name":"O"}]`)
	r.copied("Once", `"duplicate_window":60000000000,"sources":[{"name":"O"}]`)
	r.copied("M", `"mirror":{"name":"O"}`)
	r.stored(1, "o", "1", "Nats-Msg-Id", "x")
	r.holds("Once", "1:o=1")
	streamtest.Await(t, "the window of the origin passes", func() bool {
		return !r.publish("o", "2", "Nats-Msg-Id", "x").Duplicate
	})
	r.stored(3, "o", "3")
	r.holds("M", "1:o=1 2:o=2 3:o=3")
	r.holds("All", "1:o=1 2:o=2 3:o=3")
	r.holds("Once", "1:o=1 2:o=3")
}

func TestSourceWaitsWhileTheStreamIsFull(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.copied("S", `"max_msgs":2,"discard":"new","sources":[{"name":"O"}]`)
	for i := range 5 {
		r.stored(uint64(i+1), "o", fmt.Sprint(i))
	}
	r.holds("S", "1:o=0 2:o=1")
	streamtest.Await(t, "the refusal is told", func() bool { return r.origins("S").Sources[0].Error != nil })
	if lag := r.origins("S").Sources[0].Lag; lag != 3 {
		t.Fatalf("lag %d", lag)
	}
	r.ok("STREAM.MSG.DELETE.S", `{"seq":1}`)
	r.holds("S", "2:o=1 3:o=2")
	r.ok("STREAM.PURGE.S", ``)
	r.holds("S", "4:o=3 5:o=4")
}

func TestSourceKeepsTheOrderWhereOnlyLaterMessagesFit(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o.*")
	r.stored(1, "o.a", "1")
	r.stored(2, "o.a", "2")
	r.stored(3, "o.b", "3")
	r.copied("S", `"max_msgs_per_subject":1,"discard":"new","discard_new_per_subject":true,"sources":[{"name":"O"}]`)
	streamtest.Await(t, "the refusal is told", func() bool { return r.origins("S").Sources[0].Error != nil })
	r.holds("S", "1:o.a=1")
	r.ok("STREAM.MSG.DELETE.S", `{"seq":1}`)
	r.holds("S", "2:o.a=2 3:o.b=3")
}

func TestSourceInMemoryBeginsAnewAfterARestart(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o", `"storage":"memory"`)
	r.copied("S", `"sources":[{"name":"O"}]`)
	r.stored(1, "o", "a")
	r.stored(2, "o", "b")
	r.holds("S", "1:o=a 2:o=b")
	r = r.restart()
	r.stored(1, "o", "c")
	r.holds("S", "1:o=a 2:o=b 3:o=c")
}

func TestSourceIsNotCopiedAgainAfterItsMessagesWent(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.copied("S", `"sources":[{"name":"O"}]`)
	r.stored(1, "o", "a")
	r.holds("S", "1:o=a")
	r.ok("STREAM.PURGE.S", "")
	r = r.restart() // from a checkpoint
	r.stored(2, "o", "b")
	r.holds("S", "2:o=b")
}

func TestCopiesAreValidated(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o", `"max_msg_size":100`)
	r.copied("M", `"mirror":{"name":"O"}`)
	r.copied("S", `"sources":[{"name":"M"}]`)
	for name, c := range map[string]struct {
		config string
		code   int
	}{
		"first sequence":     {`"mirror":{"name":"O"},"first_seq":5`, 10143},
		"subjects":           {`"mirror":{"name":"O"},"subjects":["x"]`, 10034},
		"mirror and sources": {`"mirror":{"name":"O"},"sources":[{"name":"O"}]`, 10031},
		"counter":            {`"mirror":{"name":"O"},"allow_msg_counter":true`, 10173},
		"schedules":          {`"mirror":{"name":"O"},"allow_msg_schedules":true`, 10186},
		"markers":            {`"mirror":{"name":"O"},"subject_delete_marker_ttl":1000000000`, 10052},
		"consumer":           {`"mirror":{"name":"O","consumer":{"name":"c","deliver_subject":"x.*"}}`, 10213},
		"filters":            {`"mirror":{"name":"O","filter_subject":"o","subject_transforms":[{"src":"o","dest":"p"}]}`, 10150},
		"source of map":      {`"mirror":{"name":"O","subject_transforms":[{"src":"o..x","dest":"p"}]}`, 10151},
		"target of map":      {`"mirror":{"name":"O","subject_transforms":[{"src":"o.*","dest":"p.$2"}]}`, 10154},
		"overlap":            {`"mirror":{"name":"O","subject_transforms":[{"src":"o.*","dest":"p.$1"},{"src":"o.a","dest":"q"}]}`, 10152},
		"name":               {`"mirror":{"name":"O.x"}`, 10142},
		"size":               {`"mirror":{"name":"O"},"max_msg_size":99`, 10030},
		"mirror direct":      {`"mirror_direct":true`, 10052},
		"source schedules":   {`"sources":[{"name":"O"}],"allow_msg_schedules":true`, 10187},
		"source name":        {`"sources":[{"name":""}]`, 10141},
		"twice":              {`"sources":[{"name":"O"},{"name":"O"}]`, 10140},
		"source filters":     {`"sources":[{"name":"O","filter_subject":"o","subject_transforms":[{"src":"o","dest":"p"}]}]`, 10144},
		"source's source":    {`"sources":[{"name":"O","subject_transforms":[{"src":">.o","dest":"p"}]}]`, 10145},
		"source's target":    {`"sources":[{"name":"O","subject_transforms":[{"src":"o.>","dest":"p"}]}]`, 10146},
		"source overlap":     {`"sources":[{"name":"O","subject_transforms":[{"src":"o","dest":"p"},{"src":"","dest":""}]}]`, 10147},
		"source size":        {`"sources":[{"name":"O"}],"max_msg_size":99`, 10046},
		"deliver prefix":     {`"sources":[{"name":"O","external":{"api":"$JS.x.API","deliver":"a.*"}}]`, 10024},
		"api prefix":         {`"sources":[{"name":"O","external":{"api":"$JS.API","deliver":"a"}}]`, 10021},
		"wild api prefix":    {`"sources":[{"name":"O","external":{"api":"$JS.*.API"}}]`, 10052},
		"itself":             {`"sources":[{"name":"N"}]`, 10052},
	} {
		t.Run(name, func(t *testing.T) {
			r.refused(c.code, "STREAM.CREATE.N", fmt.Sprintf(`{"name":"N",%s}`, c.config))
		})
	}
	r.refused(10022, "STREAM.CREATE.N", `{"name":"N","subjects":["d.x"],"sources":[{"name":"O","external":{"api":"$JS.x.API","deliver":"d"}}]}`)
	// O is copied by M, which is copied by S.
	r.refused(10052, "STREAM.UPDATE.O", `{"name":"O","subjects":["o"],"max_msg_size":100,"sources":[{"name":"S"}]}`)
}

func TestMirrorAnswersDirectGetsForItsOrigin(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o", `"allow_direct":true`)
	r.copied("M", `"mirror":{"name":"O"}`)
	if !r.origins("M").Config.MirrorDirect {
		t.Fatal("mirror_direct is not the origin's allow_direct")
	}
	r.stored(1, "o", "a")
	r.holds("M", "1:o=a")
	get := func() streamtest.Msg {
		return streamtest.Request(t, r.space, "$JS.API.DIRECT.GET.O.o", nil, nil)
	}
	if m := get(); string(m.Data) != "a" || !strings.Contains(string(m.Header), "Nats-Stream: O\r\n") {
		t.Fatalf("%s%s", m.Header, m.Data)
	}
	r.ok("STREAM.DELETE.O", "")
	if m := get(); string(m.Data) != "a" || !strings.Contains(string(m.Header), "Nats-Stream: M\r\n") {
		t.Fatalf("%s%s", m.Header, m.Data)
	}
}

func TestOriginMadeAnewIsNotMixedIntoAMirror(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.stored(1, "o", "a")
	r.stored(2, "o", "b")
	r.copied("M", `"mirror":{"name":"O"}`)
	r.copied("S", `"sources":[{"name":"O"}]`)
	r.holds("M", "1:o=a 2:o=b")
	r.holds("S", "1:o=a 2:o=b")
	r.ok("STREAM.DELETE.O", "")
	r.stream("O", "o")
	for i, data := range []string{"c", "d", "e"} {
		r.stored(uint64(i+1), "o", data)
	}
	r.holds("S", "1:o=a 2:o=b 3:o=c 4:o=d 5:o=e")
	streamtest.Await(t, "the mirror says so", func() bool {
		m := r.origins("M").Mirror
		return m.Error != nil && m.Error.ErrCode == 10029
	})
	r.holds("M", "1:o=a 2:o=b")
}

func TestMirrorIsPromotedWhileItsOriginIsWritten(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	for round := range 5 {
		name := fmt.Sprint("M", round)
		r.copied(name, `"mirror":{"name":"O"}`)
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					for range 100 {
						r.space.Publish(&broker.Message{Subject: []byte("o"), Data: []byte("x")})
					}
					r.publish("o", "x") // no faster than the disk
				}
			}
		}()
		streamtest.Await(t, "something is copied", func() bool { return r.Streams.Find("A", name).Partition().Committed() > 100 })
		r.ok("STREAM.UPDATE."+name, fmt.Sprintf(`{"name":%q,"subjects":["m%d"]}`, name, round))
		last := r.Streams.Find("A", name).Partition().Committed()
		for i := range uint64(5) {
			r.stored(last+1+i, fmt.Sprint("m", round), "y")
		}
		close(stop)
		<-done
	}
}

func TestRestoredCopiesGoOnWhereTheyWere(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.copied("M", `"mirror":{"name":"O"}`)
	r.copied("S", `"sources":[{"name":"O"}]`)
	r.stored(1, "o", "a")
	r.stored(2, "o", "b")
	names := []string{"M", "S", "O"}
	backups := map[string]taken{}
	for _, name := range names {
		r.holds(name, "1:o=a 2:o=b")
		backups[name] = r.take(name, "")
	}
	for _, name := range names {
		r.ok("STREAM.DELETE."+name, "")
	}
	for _, name := range names {
		if a := r.upload(name, backups[name].config, backups[name].bytes, 1000); a.Error != nil {
			t.Fatalf("%s: %+v", name, *a.Error)
		}
	}
	r.stored(3, "o", "c")
	for _, name := range names {
		r.holds(name, "1:o=a 2:o=b 3:o=c")
	}
}
