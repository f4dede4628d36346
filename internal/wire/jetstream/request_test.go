package jetstream

import (
	"strings"
	"testing"
)

func TestRequestSubjectSaysKindAndTokens(t *testing.T) {
	for _, c := range []struct {
		subject string
		want    Request
	}{
		{"$JS.API.INFO", Request{Kind: KindAccountInfo}},
		{"$JS.hub.API.INFO", Request{Kind: KindAccountInfo}},
		{"$JS.API.STREAM.CREATE.S", Request{Kind: KindStreamCreate, Stream: "S"}},
		{"$JS.API.STREAM.CREATE.S.x", Request{}},
		{"$JS.API.STREAM.CREATE.", Request{}},
		{"$JS.API.STREAM.CREATE", Request{}},
		{"$JS.API.STREAM.NAMES", Request{Kind: KindStreamNames}},
		{"$JS.API.STREAM.MSG.GET.S", Request{Kind: KindMsgGet, Stream: "S"}},
		{"$JS.API.CONSUMER.CREATE.S", Request{Kind: KindConsumerCreateLegacy, Stream: "S"}},
		{"$JS.API.CONSUMER.CREATE.S.C", Request{Kind: KindConsumerCreate, Stream: "S", Consumer: "C"}},
		{"$JS.API.CONSUMER.CREATE.S.C.a.*.>", Request{Kind: KindConsumerCreate, Stream: "S", Consumer: "C", Filter: "a.*.>"}},
		{"$JS.API.CONSUMER.CREATE.S.C.", Request{}},
		{"$JS.API.CONSUMER.CREATE..C", Request{}},
		{"$JS.API.CONSUMER.DURABLE.CREATE.S.C", Request{Kind: KindConsumerCreateDurable, Stream: "S", Consumer: "C"}},
		{"$JS.API.CONSUMER.MSG.NEXT.S.C", Request{Kind: KindMsgNext, Stream: "S", Consumer: "C"}},
		{"$JS.API.CONSUMER.LEADER.STEPDOWN.S.C", Request{Kind: KindConsumerStepdown, Stream: "S", Consumer: "C"}},
		{"$JS.API.DIRECT.GET.S", Request{Kind: KindDirectGet, Stream: "S"}},
		{"$JS.API.DIRECT.GET.KV_b.$KV.b.key.x", Request{Kind: KindDirectGetLast, Stream: "KV_b", Filter: "$KV.b.key.x"}},
		{"$JS.API.ACCOUNT.PURGE.A", Request{Kind: KindAccountPurge, Account: "A"}},
		{"$JS.API.ACCOUNT.STREAM.MOVE.A.S", Request{Kind: KindAccountMove, Account: "A", Stream: "S"}},
		{"$JS.API.STREAM.TEMPLATE.NAMES", Request{}},
	} {
		got, ok := ParseRequest(c.subject, "hub")
		if !ok || got != c.want {
			t.Errorf("%s: got %+v, %v", c.subject, got, ok)
		}
	}
}

func TestOtherSubjectsAreNoRequests(t *testing.T) {
	for _, s := range []string{"", "$JS.API", "$JS.ACK.S.C", "$JS.other.API.INFO", "$JS..API.INFO", "x.$JS.API.INFO"} {
		if _, ok := ParseRequest(s, "hub"); ok {
			t.Errorf("%q is taken", s)
		}
	}
	if _, ok := ParseRequest("$JS.hub.API.INFO", ""); ok {
		t.Error("a domain is taken where there is none")
	}
}

func TestEveryKindIsReachedByItsOwnSubject(t *testing.T) {
	fill := strings.NewReplacer("{stream}", "S", "{consumer}", "C", "{account}", "A", "{subject...}", "x.y")
	for k := KindAccountInfo; k < kindCount; k++ {
		got, ok := ParseRequest(APIPrefix+fill.Replace(rows[k].pattern), "")
		if !ok || got.Kind != k {
			t.Errorf("%s is read as %s", k.Name(), got.Kind.Name())
		}
		if k.Body() != BodyRaw && (k.Type() == "" || !strings.HasPrefix(k.Type(), "io.nats.jetstream.api.v1.")) {
			t.Errorf("%s has type %q", k.Name(), k.Type())
		}
		if strings.ContainsAny(k.Name(), "{}") {
			t.Errorf("name %q", k.Name())
		}
	}
	if got := KindStreamCreate.Type(); got != "io.nats.jetstream.api.v1.stream_create_response" {
		t.Error(got)
	}
	if got := Kind(200).Type(); got != "io.nats.jetstream.api.v1.system_response" {
		t.Error(got)
	}
}

func TestKindsThatAreNotServedHaveAnError(t *testing.T) {
	for k, code := range map[Kind]int{
		KindUnknown:          CodeBadRequest,
		KindStreamStepdown:   CodeClusterRequired,
		KindStreamPeerRemove: CodeClusterRequired,
	} {
		if err := k.Unserved(); !err.Has(code) || strings.Contains(err.Description, "{") {
			t.Errorf("%s: %v", k.Name(), err)
		}
	}
	for _, k := range []Kind{KindStreamCreate, KindMsgNext, KindDirectGet, KindConsumerInfo} {
		if err := k.Unserved(); err != nil {
			t.Errorf("%s: %v", k.Name(), err)
		}
	}
	if KindStreamCreate.System() || !KindMetaStepdown.System() || !KindAccountCancelMove.System() {
		t.Error("System is wrong")
	}
}

func TestMsgNextIsReadLikeOtherRequests(t *testing.T) {
	for _, s := range []string{"S.C", "S", "S.C.D", ".C", "S.", "", "."} {
		subject := "$JS.API.CONSUMER.MSG.NEXT." + s
		stream, consumer, ok := ParseMsgNext([]byte(subject))
		want, _ := ParseRequest(subject, "")
		if ok != (want.Kind == KindMsgNext) || string(stream) != want.Stream || string(consumer) != want.Consumer {
			t.Errorf("%s: %s %s %v, want %+v", subject, stream, consumer, ok, want)
		}
	}
}

func TestSubjectRules(t *testing.T) {
	for s, want := range map[string][2]bool{ // valid, literal
		"a": {true, true}, "a.b": {true, true}, "a.*": {true, false}, ">": {true, false},
		"a.>": {true, false}, "a*.b>": {true, true}, "": {}, ".": {}, "a.": {}, ".a": {},
		"a..b": {}, "a b": {}, ">.a": {}, "a\tb": {},
	} {
		if validSubject(s) != want[0] || literalSubject(s) != want[1] {
			t.Errorf("%q: valid %v, literal %v", s, validSubject(s), literalSubject(s))
		}
	}
	for _, c := range []struct {
		a, b              string
		overlap, contains bool
	}{
		{"a.b", "a.b", true, true},
		{"a.b", "a.c", false, false},
		{"a.*", "a.b", true, true},
		{"a.*", "*.b", true, false},
		{"a.>", "a", false, false},
		{"a.>", "a.b.c", true, true},
		{"*", "a.b", false, false},
		{">", "a.*", true, true},
		{"a.*", "a.>", true, false},
		{"a.b.c", "a.b", false, false},
	} {
		if subjectsOverlap(c.a, c.b) != c.overlap || subjectsOverlap(c.b, c.a) != c.overlap {
			t.Errorf("overlap of %s and %s is not %v", c.a, c.b, c.overlap)
		}
		if subjectContains(c.a, c.b) != c.contains {
			t.Errorf("%s contains %s is not %v", c.a, c.b, c.contains)
		}
	}
	for _, s := range []string{"", "a.b", "a b", "*", "a>", "a/b", `a\b`, "a\f"} {
		if ValidName(s) {
			t.Errorf("%q is a name", s)
		}
	}
	if !ValidName("ORDERS-1_ü:3") {
		t.Error("a good name is refused")
	}
}

func TestFirstOverlapFindsPatternsBeforeAndAfterLiterals(t *testing.T) {
	for _, c := range []struct {
		subjects string
		found    bool
	}{
		{"a b c", false}, {"a b a", true}, {"a.* a.b", true}, {"a.b a.*", true}, {"a.* b.* b.c.d", false}, {"*.x y.*", true},
	} {
		if _, _, found := firstOverlap(strings.Fields(c.subjects)); found != c.found {
			t.Errorf("%s: %v", c.subjects, found)
		}
	}
}
