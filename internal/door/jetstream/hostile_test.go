package jetstream

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// wellFormed has for each request that takes JSON a body that is accepted, with
// every key that the request knows.
var wellFormed = []struct{ subject, body string }{
	{"STREAM.CREATE.N", `{"name":"N","description":"d","subjects":["n.>"],"retention":"limits","max_consumers":-1,"max_msgs":10,"max_bytes":10000,"max_age":3600000000000,"max_msgs_per_subject":2,"max_msg_size":1000,"discard":"old","storage":"file","num_replicas":1,"no_ack":false,"duplicate_window":120000000000,"placement":{},"compression":"none","first_seq":5,"subject_transform":{"src":"n.*","dest":"o.$1"},"republish":{"src":"n.*","dest":"p.$1","headers_only":true},"allow_direct":true,"mirror_direct":false,"discard_new_per_subject":false,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":true,"consumer_limits":{"inactive_threshold":1,"max_ack_pending":10},"allow_msg_ttl":true,"subject_delete_marker_ttl":1000000000,"metadata":{"a":"b"},"pedantic":false}`},
	{"STREAM.CREATE.M", `{"name":"M","mirror":{"name":"S","opt_start_seq":1,"filter_subject":"s.1"}}`},
	{"STREAM.CREATE.Q", `{"name":"Q","sources":[{"name":"S","opt_start_time":"2001-01-01T00:00:00Z","subject_transforms":[{"src":"s.*","dest":"q.$1"}]}]}`},
	{"STREAM.UPDATE.S", `{"name":"S","subjects":["s.>"],"description":"changed","max_msgs":100,"metadata":{"a":"c"}}`},
	{"STREAM.NAMES", `{"offset":0,"subject":"s.>"}`},
	{"STREAM.LIST", `{"offset":0,"subject":"s.>"}`},
	{"STREAM.INFO.S", `{"offset":0,"deleted_details":true,"subjects_filter":">"}`},
	{"STREAM.PURGE.S", `{"seq":2,"filter":"s.0"}`},
	{"STREAM.PURGE.S", `{"keep":3}`},
	{"STREAM.MSG.DELETE.S", `{"seq":3,"no_erase":true}`},
	{"STREAM.MSG.GET.S", `{"seq":2,"next_by_subj":"s.1","no_hdr":true}`},
	{"STREAM.MSG.GET.S", `{"last_by_subj":"s.1"}`},
	{"STREAM.SNAPSHOT.S", `{"deliver_subject":"nobody","no_consumers":true,"chunk_size":1024,"window_size":1024,"jsck":false}`},
	{"STREAM.RESTORE.R", `{"config":{"name":"R","subjects":["r"]},"state":{"messages":0,"bytes":0,"first_seq":0,"last_seq":0,"consumer_count":0}}`},
	{"CONSUMER.CREATE.S.d", `{"stream_name":"S","action":"create","pedantic":false,"config":{"durable_name":"d","name":"d","description":"d","deliver_policy":"all","ack_policy":"explicit","ack_wait":1000000000,"max_deliver":3,"backoff":[1000000000],"filter_subjects":["s.1","s.2"],"replay_policy":"instant","sample_freq":"10%","max_waiting":5,"max_ack_pending":5,"headers_only":true,"max_batch":5,"max_expires":1000000000,"max_bytes":5,"inactive_threshold":3600000000000,"num_replicas":0,"mem_storage":false,"metadata":{"a":"b"},"priority_groups":["g"],"priority_policy":"pinned_client","priority_timeout":1000000000}}`},
	{"CONSUMER.CREATE.S", `{"stream_name":"S","config":{"deliver_subject":"to","deliver_group":"g","idle_heartbeat":1000000000,"flow_control":true,"rate_limit_bps":1000,"deliver_policy":"by_start_sequence","opt_start_seq":2,"filter_subject":"s.1","ack_policy":"none"}}`},
	{"CONSUMER.DURABLE.CREATE.S.e", `{"stream_name":"S","config":{"durable_name":"e","deliver_policy":"by_start_time","opt_start_time":"2001-01-01T00:00:00Z","pause_until":"2091-01-01T00:00:00Z"}}`},
	{"CONSUMER.NAMES.S", `{"offset":0}`},
	{"CONSUMER.LIST.S", `{"offset":0}`},
	{"CONSUMER.PAUSE.S.c", `{"pause_until":"2091-01-01T00:00:00Z"}`},
	{"CONSUMER.UNPIN.S.p", `{"group":"g"}`},
	{"CONSUMER.RESET.S.c", `{"seq":2}`},
	{"DIRECT.GET.S", `{"seq":1,"next_by_subj":"s.1","batch":2,"max_bytes":100,"no_hdr":true}`},
	{"DIRECT.GET.S", `{"multi_last":["s.1","s.2"],"up_to_seq":5,"batch":2}`},
	{"STREAM.DELETE.S", `{}`},
	{"CONSUMER.DELETE.S.c", `{}`},
}

// enemy asks much, with one inbox for all answers.
type enemy struct {
	*rig
	inbox *streamtest.Inbox
	asked int
}

func newEnemy(r *rig, t testing.TB) *enemy {
	return &enemy{rig: r, inbox: streamtest.Subscribe(t, r.space, "_INBOX.enemy.>")}
}

// ask sends a request and returns the first message that answers it.
func (r *enemy) ask(subject, body string) streamtest.Msg {
	r.t.Helper()
	r.asked++
	reply := fmt.Sprint("_INBOX.enemy.", r.asked)
	if p := r.space.Publish(&broker.Message{Subject: []byte("$JS.API." + subject), Reply: []byte(reply), Data: []byte(body)}); p.Nobody() {
		r.t.Fatalf("nobody takes %s", subject)
	}
	for {
		if m := r.inbox.Next(r.t); m.Subject == reply {
			return m
		}
	}
}

// world makes what the requests are about.
func (r *enemy) world() {
	r.t.Helper()
	r.made("STREAM.CREATE.S", streamConfig("S", "s.>", `"allow_direct":true`))
	for i := range 6 {
		r.space.Publish(&broker.Message{Subject: []byte(fmt.Sprint("s.", i%3)), Data: []byte("x")})
	}
	r.made("CONSUMER.CREATE.S.c", durableConfig("S", "c"))
	r.made("CONSUMER.CREATE.S.p", durableConfig("S", "p", `"priority_policy":"pinned_client"`, `"priority_groups":["g"]`))
}

func (r *enemy) made(subject, body string) {
	r.t.Helper()
	if m := r.ask(subject, body); strings.Contains(string(m.Data), `"error"`) {
		r.t.Fatalf("%s: %s", subject, m.Data)
	}
}

// moving is what differs between two answers that say the same.
var moving = regexp.MustCompile(`"(ts|last_active)":"[^"]*"|"pause_remaining":\d+`)

// digest is all that there is, as text.
func (r *enemy) digest() string {
	r.t.Helper()
	out := string(r.ask("STREAM.LIST", "").Data)
	for _, name := range r.names() {
		out += string(r.ask("STREAM.INFO."+name, `{"deleted_details":true}`).Data) + string(r.ask("CONSUMER.LIST."+name, "").Data)
	}
	return moving.ReplaceAllString(out, "")
}

func (r *enemy) names() (names []string) {
	r.t.Helper()
	var a struct{ Streams []string }
	if err := json.Unmarshal(r.ask("STREAM.NAMES", "").Data, &a); err != nil {
		r.t.Fatal(err)
	}
	return a.Streams
}

// anew gives the world back its first state.
func (r *enemy) anew() string {
	r.t.Helper()
	for _, name := range r.names() {
		r.ask("STREAM.DELETE."+name, "")
	}
	r.world()
	return r.digest()
}

// hostile sends a request and fails unless the answer is one of the protocol. It
// says whether the request was refused.
func (r *enemy) hostile(subject, body string) (refused bool) {
	r.t.Helper()
	m := r.ask(subject, body)
	if strings.HasPrefix(subject, "DIRECT.GET") {
		return strings.HasPrefix(string(m.Header), "NATS/1.0 4")
	}
	var a struct {
		Type  string
		Error *struct {
			Code        int
			ErrCode     int `json:"err_code"`
			Description string
		}
	}
	if err := json.Unmarshal(m.Data, &a); err != nil || !strings.HasPrefix(a.Type, "io.nats.jetstream.api.v1.") {
		r.t.Fatalf("%s %.300s: answered with %q: %v", subject, body, m.Data, err)
	}
	if e := a.Error; e != nil && (e.Code < 400 || e.Code > 503 || e.ErrCode == 0 || e.Description == "" || len(e.Description) > 1000) {
		r.t.Fatalf("%s %.300s: error %+v", subject, body, *e)
	}
	return a.Error != nil
}

// TestFailedRequestHasNoEffect takes bodies that are accepted and makes parts of
// them wrong in many ways.
func TestFailedRequestHasNoEffect(t *testing.T) {
	r := newEnemy(newRig(t), t)
	r.world()
	before := r.digest()
	refused := 0
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, w := range wellFormed {
		bodies := distorted(w.body)
		rnd.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		for _, body := range bodies[:min(len(bodies), 60)] {
			no := r.hostile(w.subject, body)
			switch after := r.digest(); {
			case after == before:
			case no:
				t.Fatalf("%s %.300s: refused, and yet it changed\n%s\nto\n%s", w.subject, body, before, after)
			default:
				before = r.anew()
			}
			if no {
				refused++
			}
		}
	}
	if refused < 300 {
		t.Errorf("only %d requests were refused", refused)
	}
}

// distorted gives the body with, in turn, each of its keys having another value.
func distorted(body string) (out []string) {
	values := []string{`-1`, `1.5`, `99999999999999999999`, `-9223372036854775809`, `1e400`, `"\ud800"`, `"x"`, `{"x":1}`, `[[]]`, `[{}]`, `true`}
	key := regexp.MustCompile(`"[a-z_]+":`)
	for _, at := range key.FindAllStringIndex(body, -1) {
		end := at[1] + valueEnd(body[at[1]:])
		for _, v := range values {
			out = append(out, body[:at[1]]+v+body[end:])
		}
		out = append(out, body[:at[0]]+`"unknown":1,`+body[at[0]:], body[:at[1]])
	}
	return append(out, body[:len(body)-1], body+"}", body+body, "["+body+"]", "{"+body+"}", `"`+strings.Repeat("x", 5000)+`"`)
}

// valueEnd is the length of the JSON value that s begins with.
func valueEnd(s string) int {
	dec := json.NewDecoder(strings.NewReader(s))
	var v json.RawMessage
	if dec.Decode(&v) != nil {
		return 0
	}
	return int(dec.InputOffset())
}

// TestLargeBodiesCostLittle sends ten megabytes of nesting, of keys and of numbers
// to each request.
func TestLargeBodiesCostLittle(t *testing.T) {
	a := &account.Account{Name: "A"}
	a.JetStream.Enabled = true
	o := rigOptions(a)
	const size = 10 << 20
	o.Serve = func(d *stream.Directory, s *broker.Space) func() {
		door := New(Options{ServerName: "n", Version: "2.12.0", MaxPayload: 2 * size, Strict: true, Log: slog.New(slog.DiscardHandler)})
		door.Start(d)
		return door.Serve(s, func() *account.Account { return a })
	}
	r := newEnemy(on(t, streamtest.Start(t, o)), t)
	r.world()
	before := r.digest()
	bodies := map[string]string{
		"arrays":  strings.Repeat("[", size),
		"objects": strings.Repeat(`{"a":`, size/5),
		"closed":  `{"name":` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2-9) + `}`,
		"number":  `{"max_msgs":` + strings.Repeat("9", size) + `}`,
		"string":  `{"name":"` + strings.Repeat("x", size) + `"}`,
		"list":    `{"subjects":[` + strings.Repeat(`"a",`, size/4) + `"a"]}`,
		"keys":    `{` + strings.Repeat(`"name":"",`, size/10) + `"name":""}`,
	}
	subjects := map[string]bool{}
	for _, w := range wellFormed {
		subjects[w.subject] = true
	}
	heavy := map[string]bool{"STREAM.CREATE.N": true, "CONSUMER.CREATE.S.d": true, "STREAM.MSG.GET.S": true}
	for name, body := range bodies {
		nested := name == "arrays" || name == "objects"
		for subject := range subjects {
			if !nested && !heavy[subject] {
				continue
			}
			var was, is runtime.MemStats
			runtime.ReadMemStats(&was)
			if !r.hostile(subject, body) {
				t.Errorf("%s: %s is accepted", subject, name)
			}
			runtime.ReadMemStats(&is)
			// The body itself is copied on its way.
			if grown := is.TotalAlloc - was.TotalAlloc; grown > 12*size {
				t.Errorf("%s: %s took %d MiB", subject, name, grown>>20)
			}
		}
	}
	if after := r.digest(); after != before {
		t.Errorf("the refused requests changed\n%s\nto\n%s", before, after)
	}
}

// FuzzAPIRequests sends any body to any request: it is answered, and where it is
// refused nothing has changed.
func FuzzAPIRequests(f *testing.F) {
	for i, w := range wellFormed {
		f.Add(uint8(i), []byte(w.body))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		i := rnd.IntN(len(wellFormed))
		bodies := distorted(wellFormed[i].body)
		f.Add(uint8(i), []byte(bodies[rnd.IntN(len(bodies))]))
	}
	a := &account.Account{Name: "A"}
	a.JetStream.Enabled = true
	node := streamtest.Start(f, rigOptions(a))
	r := newEnemy(&rig{Node: node, space: node.Space("A")}, f)
	before := ""
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		r.t = t
		if before == "" {
			before = r.anew()
		}
		subject := wellFormed[int(which)%len(wellFormed)].subject
		refused := r.hostile(subject, string(body))
		if after := r.digest(); after != before && refused {
			t.Fatalf("%s %q: refused, and yet it changed\n%s\nto\n%s", subject, body, before, after)
		} else if after != before {
			before = r.anew()
		}
	})
}

func TestDistortedBodiesDiffer(t *testing.T) {
	got := distorted(`{"a":{"b":1}}`)
	for _, want := range []string{`{"a":-1}`, `{"a":{"b":true}}`, `{"unknown":1,"a":{"b":1}}`, `{"a":`, `{"a":{"b":1}`} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
}
