package jetstream

import (
	"strings"
	"testing"
)

func TestGroupRequestsAreNamedByTheirSubjects(t *testing.T) {
	for subject, want := range map[string]string{
		"$WEIR.API.GROUP.LIST": "LIST ", "$WEIR.API.GROUP.JOIN.g": "JOIN g", "$WEIR.API.GROUP.INFO.a%2Eb": "INFO a%2Eb",
		"$WEIR.API.GROUP.LIST.g": "", "$WEIR.API.GROUP.JOIN": "", "$WEIR.API.GROUP.JOIN.": "", "$WEIR.API.GROUP.JOIN.a.b": "",
		"$WEIR.API.GROUP.NOPE.g": "", "$WEIR.API.GROUP.": "", "$JS.API.INFO": "", "": "",
	} {
		kind, group, ok := ParseGroupRequest(subject)
		if got := string(kind) + " " + group; ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %v, want %q", subject, got, ok, want)
		}
	}
}

func FuzzParseGroupRequest(f *testing.F) {
	for _, s := range []string{"$WEIR.API.GROUP.LIST", "$WEIR.API.GROUP.JOIN.g", "$WEIR.API.GROUP.JOIN.a.b", "$WEIR.API.GROUP..", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		kind, group, ok := ParseGroupRequest(subject)
		if !ok {
			return
		}
		back := GroupPrefix + string(kind)
		if group != "" {
			back += "." + group
		}
		if back != subject || strings.Contains(group, ".") {
			t.Fatalf("%q is %q of %q", subject, kind, group)
		}
	})
}

func TestEveryGroupErrorHasANumberOfItsOwn(t *testing.T) {
	for code := CodeGroupNotFound; code <= CodeGroupUnknownStream; code++ {
		e := GroupErr(code, "why")
		if e.ErrCode != code || e.Code < 400 || !strings.HasSuffix(e.Description, ": why") {
			t.Errorf("%d: %+v", code, e)
		}
	}
}
