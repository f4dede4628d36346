package jetstream

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestStrictDecodingNamesWhatIsWrong(t *testing.T) {
	deep := strings.Repeat(`{"a":`, MaxDepth+1)
	for in, text := range map[string]string{
		`{"name":"S","x":1}`:                    `invalid JSON: json: unknown field "x"`,
		`{"retention":"forever"}`:               `invalid JSON: can not unmarshal "forever"`,
		`{"max_msgs":"5"}`:                      `invalid JSON: json: cannot unmarshal string into field max_msgs`,
		`{"max_age":1.5}`:                       `invalid JSON: json: cannot unmarshal number 1.5 into field max_age`,
		`{"num_replicas":99999999999999999999}`: `invalid JSON: json: cannot unmarshal number 99999999999999999999 into field num_replicas`,
		`{"name":`:                              `invalid JSON: unexpected end of JSON input`,
		``:                                      `invalid JSON: unexpected end of JSON input`,
		`{} {}`:                                 `invalid JSON: data after the end of JSON input`,
		deep:                                    `invalid JSON: exceeded max depth`,
		strings.Repeat("[", 1_000_000):          `invalid JSON: exceeded max depth`,
	} {
		var c StreamConfig
		err := Decoder{}.Required([]byte(in), &c)
		if !err.Has(CodeInvalidJSON) || err.Description != text {
			t.Errorf("%.40s: %v", in, err)
		}
	}
}

func TestDepthOnlyCountsWhatIsOpen(t *testing.T) {
	body := `{"name":"S","subjects":["` + strings.Repeat(`\"[{`, 100) + `","a","b"],"metadata":{"a":"` + strings.Repeat("[", 200) + `"}}`
	var c StreamConfig
	if err := (Decoder{}).Required([]byte(body), &c); err != nil || len(c.Subjects) != 3 {
		t.Fatal(err)
	}
}

func TestBodiesWithTooManyElementsAreRefused(t *testing.T) {
	var v []int
	if err := (Decoder{}).Required([]byte("["+strings.Repeat("1,", MaxElements)+"1]"), &v); err != nil || len(v) != MaxElements+1 {
		t.Errorf("%d elements: %v", len(v), err)
	}
	if err := (Decoder{}).Required([]byte("["+strings.Repeat("1,", MaxElements+1)+"1]"), &v); !err.Has(CodeInvalidJSON) {
		t.Errorf("too many elements: %v", err)
	}
	var s string
	if err := (Decoder{}).Required([]byte(`"`+strings.Repeat(",", MaxElements+1)+`"`), &s); err != nil {
		t.Errorf("commas in a string: %v", err)
	}
}

func TestBodiesOverTheLimitAreRefusedUnread(t *testing.T) {
	var c StreamConfig
	err := Decoder{MaxBody: 10}.Required([]byte(`{"name":"ABC"}`), &c)
	if !err.Has(CodeInvalidJSON) || c.Name != "" {
		t.Fatalf("%v, %+v", err, c)
	}
}

func TestLenientDecodingIgnoresUnknownKeys(t *testing.T) {
	var c StreamConfig
	if err := (Decoder{Lenient: true}).Required([]byte(`{"name":"S","x":{"y":[]}}`), &c); err != nil || c.Name != "S" {
		t.Fatal(err)
	}
}

func TestOptionalBodyIsReadOnlyWhenItBeginsLikeJSON(t *testing.T) {
	for in, want := range map[string]int{"": 0, "hello": 0, "5": 0, " \n": 0, ` {"offset":7}`: 7} {
		var r StreamListRequest
		if err := (Decoder{}).Optional([]byte(in), &r); err != nil || r.Offset != want {
			t.Errorf("%q: %v, %+v", in, err, r)
		}
	}
	for _, in := range []string{`{"offset":`, `[1]`, `{"y":1}`} {
		var r StreamListRequest
		if err := (Decoder{}).Optional([]byte(in), &r); !err.Has(CodeInvalidJSON) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestOnlyEmptyBodiesAreEmpty(t *testing.T) {
	for in, ok := range map[string]bool{
		"": true, " ": true, "{}": true, "{ }": true, " {\n} ": true,
		"x": false, "{": false, "[]": false, `{"a":1}`: false, "{}}": false, "null": false,
	} {
		if err := (Decoder{}).Empty([]byte(in)); (err == nil) != ok || err != nil && !err.Has(CodeNotEmptyRequest) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestMessageRequests(t *testing.T) {
	for in, ok := range map[string]bool{
		"": false, "{}": false, `{"seq":1}`: true, `{"last_by_subj":"a"}`: true, `{"seq":1,"next_by_subj":"a"}`: true,
		`{"next_by_subj":"a"}`: true, `{"start_time":"2026-01-01T00:00:00Z"}`: true, `{"seq":1,"last_by_subj":"a"}`: false,
		`{"last_by_subj":"a","next_by_subj":"a"}`: false, `{"seq":1,"batch":2}`: false, `{"multi_last":["a"]}`: false,
		`{"seq":1,"start_time":"2026-01-01T00:00:00Z"}`: false, `{"seq":1,"no_hdr":true}`: true,
	} {
		if _, err := (Decoder{}).DecodeMsgGet([]byte(in)); (err == nil) != ok {
			t.Errorf("get %s: %v", in, err)
		}
	}
	if _, err := (Decoder{}).DecodeMsgDelete(nil); !err.Has(CodeBadRequest) {
		t.Error(err)
	}
	if r, err := (Decoder{}).DecodeMsgDelete([]byte(`{"seq":4,"no_erase":true}`)); err != nil || r.Seq != 4 || !r.NoErase {
		t.Error(r, err)
	}
	for in, ok := range map[string]bool{"": true, `{"seq":5,"filter":"a"}`: true, `{"seq":5,"keep":1}`: false, `{"filter":"a..b"}`: true} {
		if _, err := (Decoder{}).DecodePurge([]byte(in)); (err == nil) != ok || err != nil && !err.Has(CodeBadRequest) {
			t.Errorf("purge %s: %v", in, err)
		}
	}
	if r, _ := (Decoder{}).DecodePurge([]byte(`{"filter":">","keep":2}`)); r.Filter != "" || r.Keep != 2 {
		t.Errorf("%+v", r)
	}
}

func TestDirectGets(t *testing.T) {
	for _, c := range []struct {
		filter, body string
		want         Status
	}{
		{"", "", StatusEmptyRequest},
		{"", "{}", StatusEmptyRequest},
		{"", "{", StatusMalformedRequest},
		{"", strings.Repeat("[", 100), StatusMalformedRequest},
		{"", `{"seq":1}`, Status{}},
		{"", `{"seq":1,"future":1}`, Status{}},
		{"", `{"batch":5}`, StatusEmptyRequest},
		{"", `{"multi_last":["a"],"up_to_seq":5}`, Status{}},
		{"", `{"seq":1,"last_by_subj":"a"}`, StatusBadRequest},
		{"", `{"last_by_subj":"a","batch":2}`, StatusBadRequest},
		{"", `{"last_by_subj":"a","multi_last":["a"]}`, StatusBadRequest},
		{"", `{"next_by_subj":"a","multi_last":["a"]}`, StatusBadRequest},
		{"", `{"multi_last":["a"],"up_to_seq":5,"up_to_time":"2026-01-01T00:00:00Z"}`, StatusBadRequest},
		{"a.b", "", Status{}},
		{"a.b", `{"no_hdr":true}`, Status{}},
		{"a.b", `{"seq":1}`, StatusBadRequest},
	} {
		r, bad := Decoder{}.DecodeDirectGet(c.filter, []byte(c.body))
		if bad != c.want || (bad.Code == 0) != (r != nil) || r != nil && c.filter != "" && r.LastFor != c.filter {
			t.Errorf("%s %s: %+v, %+v", c.filter, c.body, r, bad)
		}
	}
}

func FuzzStrictDecode(f *testing.F) {
	f.Add([]byte(`{"name":"S","subjects":["a"],"max_age":1}`))
	f.Add([]byte(`{"stream_name":"S","config":{"durable_name":"C"},"action":"create"}`))
	f.Add([]byte(`{"seq":1}`))
	f.Add([]byte(strings.Repeat("[", 80)))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := Decoder{}
		if r, err := d.DecodeStreamUpdate(b); err == nil && r == nil {
			t.Fatal("neither a request nor an error")
		}
		if r, err := d.DecodeStreamCreate("S", b); err == nil {
			fuzzStream(t, &r.StreamConfig)
		}
		if r, err := d.DecodeConsumerCreate(Request{Kind: KindConsumerCreateLegacy, Stream: "S"}, b); err == nil {
			s := StreamConfig{Name: "S"}
			if r.Config.Check(ConsumerOptions{Stream: &s}) == nil && !r.Config.Equal(r.Config.Clone()) {
				t.Fatalf("%q: a copy differs", b)
			}
		}
		_, _ = d.DecodeMsgGet(b)
		_, _ = d.DecodePurge(b)
		_, _ = d.DecodeMsgDelete(b)
		_, _ = d.DecodeDirectGet("", b)
		_ = d.Empty(b)
	})
}

// fuzzStream holds that what is stored is read again as the same.
func fuzzStream(t *testing.T, c *StreamConfig) {
	if c.Check(StreamOptions{}) != nil {
		return
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var again StreamConfig
	if err := (Decoder{}).Required(b, &again); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if err := again.Check(StreamOptions{}); err != nil || !again.Equal(c) {
		t.Fatalf("%s: reads again as %+v, %v", b, again, err)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add("$JS.API.CONSUMER.CREATE.S.C.a.b")
	f.Add("$JS.hub.API.INFO")
	f.Add("$JS.API.CONSUMER.MSG.NEXT.S.C")
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := ParseRequest(s, "hub")
		if !ok && r != (Request{}) {
			t.Fatalf("%q: %+v", s, r)
		}
		if strings.Contains(r.Stream+r.Consumer+r.Account, ".") || !strings.HasSuffix(s, r.Filter) {
			t.Fatalf("%q: %+v", s, r)
		}
		if _, _, next := ParseMsgNext([]byte(s)); next != (r.Kind == KindMsgNext && strings.HasPrefix(s, APIPrefix)) {
			t.Fatalf("%q: %+v", s, r)
		}
	})
}
