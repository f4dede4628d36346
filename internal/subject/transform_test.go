package subject

import (
	"errors"
	"testing"
)

func TestTransformsMapSubjects(t *testing.T) {
	for _, c := range []struct{ source, target, subject, want string }{
		{"", "", "a.b", "a.b"},
		{"a.*", "", "a.b", "a.b"},
		{"a.*", "x.$1.y", "a.b", "x.b.y"},
		{"a.*.*", "{{wildcard(2)}}.{{ Wildcard( 1 ) }}", "a.b.c", "c.b"},
		{"a.*.*", "x", "a.b.c", "x"},
		{"a.>", "b.c.>", "a.x.y", "b.c.x.y"},
		{">", "b.>", "x.y", "b.x.y"},
		{"*.>", "b.$1.>", "x.y.z", "b.x.y.z"},
		{"*", "{{split(1,-)}}", "-a--b-c-", "a.b.c"},
		{"*", "{{split(1,-)}}", "--", "--"},
		{"*", "{{SplitFromLeft(1,2)}}", "12345", "12.345"},
		{"*", "{{splitfromleft(1,5)}}", "12345", "12345"},
		{"*", "{{splitfromright(1,2)}}", "12345", "123.45"},
		{"*", "{{slicefromleft(1,3)}}", "1234567890", "123.456.789.0"},
		{"*", "{{sliceFromRight(1,3)}}", "1234567890", "1.234.567.890"},
		{"*", "{{slicefromright(1,3)}}", "123456", "123.456"},
		{"*", "{{left(1,2)}}.{{right(1,2)}}", "12345", "12.45"},
		{"*", "{{left(1,9)}}.{{right(1,9)}}", "12345", "12345.12345"},
		{"*", "{{partition(1,1)}}.$1", "x", "0.x"},
		{"*", "{{random(5)}}", "x", "2"},
		{"*", "$x.$1", "x", "$x.x"},
	} {
		tr, err := ParseTransform(c.source, c.target)
		if err != nil {
			t.Errorf("%s > %s: %v", c.source, c.target, err)
			continue
		}
		if got, ok := tr.Append(nil, c.subject, 7); !ok || string(got) != c.want {
			t.Errorf("%s > %s: %s is %s, want %s", c.source, c.target, c.subject, got, c.want)
		}
	}
}

func TestTransformsLeaveOtherSubjects(t *testing.T) {
	tr, err := ParseTransform("a.*", "b.$1")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"a", "b.c", "a.b.c"} {
		if got, ok := tr.Append([]byte("x"), s, 0); ok || string(got) != "x" {
			t.Errorf("%s became %s", s, got)
		}
	}
}

func TestPartitionsAreThoseOfTheHash(t *testing.T) {
	tr, err := ParseTransform("foo.*.*", "bar.{{partition(10,1,2)}}")
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]string{"foo.baz.qux": "bar.6", "foo.one.two": "bar.7"} {
		if got, _ := tr.Append(nil, s, 0); string(got) != want {
			t.Errorf("%s is %s, want %s", s, got, want)
		}
	}
}

func TestBadTransformsAreRefused(t *testing.T) {
	for _, c := range []struct {
		source, target string
		want           error
	}{
		{"a..b", "x", ErrTransformSource},
		{"a.>.b", "x", ErrTransformSource},
		{"a.*", "x.$2", ErrTransformTarget},
		{"a.*", "x.$0", ErrTransformTarget},
		{"a.*", "x.*", ErrTransformTarget},
		{"a.*", "x.>", ErrTransformTarget},
		{"a.>", "x", ErrTransformTarget},
		{"a.>", ">.x", ErrTransformTarget},
		{"a.*", "x..y", ErrTransformTarget},
		{"a.*", "{{nothing(1)}}", ErrTransformTarget},
		{"a.*", "{{wildcard(1}}", ErrTransformTarget},
		{"a.*", "{{wildcard(1,2)}}", ErrTransformTarget},
		{"a.*", "{{wildcard(one)}}", ErrTransformTarget},
		{"a.*", "{{split(1,)}}", ErrTransformTarget},
		{"a.*", "{{partition(0,1)}}", ErrTransformTarget},
		{"a.*", "{{partition(3,2)}}", ErrTransformTarget},
		{"a.*", "{{left(1,0)}}", ErrTransformTarget},
	} {
		if _, err := ParseTransform(c.source, c.target); !errors.Is(err, c.want) {
			t.Errorf("%s > %s: %v, want %v", c.source, c.target, err, c.want)
		}
	}
}

func FuzzTransform(f *testing.F) {
	f.Add("a.*.>", "b.{{split(1,-)}}.>", "a.b-c.d")
	f.Add("*", "{{slicefromright(1,3)}}.{{partition(3,1)}}", "abcdefg")
	f.Fuzz(func(t *testing.T, source, target, s string) {
		tr, err := ParseTransform(source, target)
		if err != nil {
			return
		}
		if _, ok := tr.Append(nil, s, 1); ok != Match(tr.Source(), s) {
			t.Fatalf("%q on %q: %v", source, s, ok)
		}
	})
}
