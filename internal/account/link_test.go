package account

import (
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/subject"
)

func service(subj string) Export { return Export{Kind: Service, Subject: subj} }
func stream(subj string) Export  { return Export{Kind: Stream, Subject: subj} }

func use(k Kind, from, subj, local string) Import {
	return Import{Kind: k, Account: from, Subject: subj, Local: local}
}

func TestImportsNeedAnExport(t *testing.T) {
	a := &Account{Name: "A", Exports: []Export{
		service("pub.>"), stream("ev.>"),
		{Kind: Service, Subject: "priv.x", Private: true, Accounts: []string{"B"}},
		{Kind: Service, Subject: "nobody.x", Private: true},
		{Kind: Stream, Subject: "each.*.data", Token: 2},
	}}
	for _, c := range []struct {
		importer string
		im       Import
		want     error
	}{
		{"B", use(Service, "A", "pub.x", ""), nil},
		{"B", use(Service, "A", "pub.>", "local.>"), nil},
		{"B", use(Service, "A", "ev.x", ""), ErrNotExported},
		{"B", use(Stream, "A", "ev.>", ""), nil},
		{"B", use(Stream, "A", ">", ""), ErrNotExported},
		{"B", use(Service, "A", "priv.x", ""), nil},
		{"C", use(Service, "A", "priv.x", ""), ErrNotExported},
		{"B", use(Service, "A", "nobody.x", ""), ErrNotExported},
		{"B", use(Service, "Z", "pub.x", ""), ErrNoExporter},
		{"B", use(Stream, "A", "each.B.data", ""), nil},
		{"C", use(Stream, "A", "each.B.data", ""), ErrNotExported},
		{"B", use(Stream, "A", "each.*.data", ""), ErrNotExported},
		{"B", use(Stream, "A", "ev.>", "lost"), subject.ErrMapping},
	} {
		links, err := Join([]*Account{a, {Name: c.importer, Imports: []Import{c.im}}})
		if !errors.Is(err, c.want) {
			t.Errorf("%s imports %+v: %v, want %v", c.importer, c.im, err, c.want)
		}
		if err == nil && (len(links) != 1 || links[0].Importer != c.importer || links[0].Export.Subject == "") {
			t.Errorf("%s imports %+v: %+v", c.importer, c.im, links)
		}
	}
}

func TestTheExportOfTheSameSubjectCounts(t *testing.T) {
	exact := Export{Kind: Service, Subject: "a.b", Response: Streamed}
	for _, exports := range [][]Export{{service("a.>"), exact}, {exact, service("a.>")}} {
		links, err := Join([]*Account{{Name: "A", Exports: exports}, {Name: "B", Imports: []Import{use(Service, "A", "a.b", "")}}})
		if err != nil || links[0].Export.Response != Streamed {
			t.Errorf("%+v, %v", links, err)
		}
	}
}

func TestImportsMustNotFormACycle(t *testing.T) {
	exports := []Export{service(">"), stream(">")}
	for _, k := range []Kind{Stream, Service} {
		for _, c := range []struct {
			a, b, c Import
			want    error
		}{
			{use(k, "B", "x", "y"), use(k, "A", "y", "x"), use(k, "A", "z", ""), ErrImportCycle},
			{use(k, "B", "x", "y"), use(k, "A", "z", "x"), use(k, "A", "z", ""), nil},
			{use(k, "B", "x.>", ""), use(k, "C", "x.y", ""), use(k, "A", "x.*", ""), ErrImportCycle},
			{use(k, "B", "x.>", ""), use(k, "C", "x.y", ""), use(k, "A", "q.*", ""), nil},
			{use(k, "A", "x.>", ""), use(k, "A", "q", ""), use(k, "A", "q", ""), ErrImportCycle},
			{use(k, "A", "x", "y"), use(k, "A", "q", ""), use(k, "A", "q", ""), nil},
		} {
			_, err := Join([]*Account{
				{Name: "A", Exports: exports, Imports: []Import{c.a}},
				{Name: "B", Exports: exports, Imports: []Import{c.b}},
				{Name: "C", Exports: exports, Imports: []Import{c.c}},
			})
			if !errors.Is(err, c.want) {
				t.Errorf("%s %+v %+v %+v: %v, want %v", k, c.a, c.b, c.c, err, c.want)
			}
		}
	}
}

func TestOneSubjectIsOneServiceOnly(t *testing.T) {
	a := &Account{Name: "A", Exports: []Export{service("a"), service("b"), stream("a"), stream("b")}}
	for k, want := range map[Kind]error{Service: ErrSameImport, Stream: nil} {
		_, err := Join([]*Account{a, {Name: "B", Imports: []Import{use(k, "A", "a", "x"), use(k, "A", "b", "x")}}})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", k, err, want)
		}
	}
}

func TestBadExportsAreRefused(t *testing.T) {
	for _, e := range []Export{{Subject: "a..b"}, {Subject: "a.*", Token: 1}, {Subject: "a.*", Token: 3}, {Subject: "a.>", Token: 2}} {
		if _, err := Join([]*Account{{Name: "A", Exports: []Export{e}}}); !errors.Is(err, ErrExportSubject) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestAnAccountKnowsWhichRequestsAnotherAnswers(t *testing.T) {
	a := &Account{Name: "A", Imports: []Import{
		{Kind: Service, Account: "B", Subject: "x.*.>", Local: ""},
		{Kind: Service, Account: "B", Subject: "y", Local: "z"},
		{Kind: Service, Account: "B", Subject: "v", Local: "w.*"}, // no mapping
		{Kind: Stream, Account: "B", Subject: "s"},
	}}
	for subject, want := range map[string]bool{"x.1.2.3": true, "x.1": false, "z": true, "y": false, "w.1": false, "s": false} {
		if a.ImportsService(subject) != want {
			t.Errorf("%s: %v, want %v", subject, !want, want)
		}
	}
}
