package jetstream

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPullRequests(t *testing.T) {
	for in, want := range map[string]Pull{
		"":                             {Batch: 1},
		"  ":                           {Batch: 1},
		"25":                           {Batch: 25},
		" 25 ":                         {Batch: 25},
		"0":                            {Batch: 1},
		"-5":                           {Batch: 1},
		"garbage":                      {Batch: 1},
		"99999999999":                  {Batch: 1},
		"{}":                           {},
		`{"batch":0}`:                  {},
		`{"batch":-3}`:                 {},
		`{"batch":10,"no_wait":true}`:  {Batch: 10, NoWait: true},
		`{"batch":10,"no_wait":false}`: {Batch: 10},
		`{"expires":5000000000,"batch":500,"max_bytes":1024,"idle_heartbeat":2500000000}`: {Batch: 500, Expires: 5e9, MaxBytes: 1024, Heartbeat: 25e8},
		`{"batch":1,"group":"a","min_pending":3,"min_ack_pending":4,"id":"x","priority":9}`: {Batch: 1, Group: "a", ID: "x",
			MinPending: 3, MinAckPending: 4, Priority: 9},
		`{"batch":2,"unknown":[1,{"a":null}]}`: {Batch: 2},
		`{"Batch":2}`:                          {Batch: 2},
		`{"batch":null}`:                       {},
		`{"expires":-1}`:                       {},
		"\n{ \"batch\" : 3 } \r\n":             {Batch: 3},
	} {
		got, bad, ok := ParsePull([]byte(in))
		if !ok || got != want {
			t.Errorf("%s: %+v %+v", in, got, bad)
		}
	}
}

func TestPullRequestsThatAreRefused(t *testing.T) {
	for in, text := range map[string]string{
		`{"batch":`:                             "Bad Request - ",
		`{"batch":"x"}`:                         "Bad Request - ",
		`{"batch":1.5}`:                         "Bad Request - ",
		`{"batch":1} x`:                         "Bad Request - ",
		`{"batch":01}`:                          "Bad Request - ",
		`{"no_wait":truex}`:                     "Bad Request - ",
		`{"expires":1000,"idle_heartbeat":501}`: "Bad Request - heartbeat value too large",
		`{"idle_heartbeat":1}`:                  "Bad Request - heartbeat value too large",
		`{"idle_heartbeat":9223372036854775807,"expires":1000}`: "Bad Request - heartbeat value too large",
		`{"priority":10}`:                  "Bad Request - Priority must be between 0 and 9",
		`{"priority":-1}`:                  "Bad Request - Priority must be between 0 and 9",
		`{"x":` + strings.Repeat("[", 100): "Bad Request - ",
	} {
		_, bad, ok := ParsePull([]byte(in))
		if ok || bad.Code != 400 || !strings.HasPrefix(bad.Text, text) {
			t.Errorf("%s: %+v %v", in, bad, ok)
		}
	}
}

func TestStatusBlocks(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{string(AppendStatus(nil, StatusNoMessages)), "NATS/1.0 404 No Messages\r\n\r\n"},
		{string(AppendStatus(nil, Status{Code: 204})), "NATS/1.0 204\r\n\r\n"},
		{string(AppendStatusPending(nil, StatusRequestTimeout, 3, 100)),
			"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\nNats-Pending-Bytes: 100\r\n\r\n"},
		{string(AppendHeartbeat(nil, 4, 9, nil)), "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 4\r\nNats-Last-Stream: 9\r\n\r\n"},
		{StatusExceededBatch(5).Text, "Exceeded MaxRequestBatch of 5"},
		{StatusExceededExpires(2 * time.Second).Text, "Exceeded MaxRequestExpires of 2s"},
		{StatusExceededMaxBytes(7).Text, "Exceeded MaxRequestMaxBytes of 7"},
		{string(AppendStatus(nil, StatusBadPull("a\r\nX: y"))), "NATS/1.0 400 Bad Request - a  X: y\r\n\r\n"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func FuzzParsePull(f *testing.F) {
	for _, s := range []string{"", "1", `{"batch":1,"expires":5,"no_wait":true}`, `{"batch":1e2}`, `{"id":"\u0041"}`, "{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, bad, ok := ParsePull(b)
		if ok == (bad.Code != 0) {
			t.Fatalf("%q: %+v %+v %v", b, p, bad, ok)
		}
		if ok && (p.Batch < 0 || p.Heartbeat > p.Expires || p.MaxBytes < 0 || p.Priority > 9 || p.Expires < 0) {
			t.Fatalf("%q: %+v", b, p)
		}
		if fast, good := fastPull(b); good && len(b) > 0 && b[0] == '{' {
			var slow pullJSON
			if err := json.Unmarshal(b, &slow); err != nil || Pull(slow) != fast {
				t.Fatalf("%q: %+v by hand, %+v %v by the library", b, fast, slow, err)
			}
		}
	})
}
