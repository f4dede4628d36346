package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func TestTemplatesFillInTheMessage(t *testing.T) {
	d, err := newDraft("pkg.{{.Key}}", "no {{.Count}} on {{.Subject}}", draftFlags{
		msgID: "id-{{.Count}}", headers: []string{"X-Id: {{.Random 8}}", "X-Id: two"},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.message(&facts{Count: 7, Key: "net.curl"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "pkg.net.curl" || string(m.Data) != "no 7 on pkg.net.curl" || m.Header.Get("Nats-Msg-Id") != "id-7" {
		t.Errorf("message is %q %q %v", m.Subject, m.Data, m.Header)
	}
	if ids := m.Header["X-Id"]; len(ids) != 2 || len(ids[0]) != 8 || ids[1] != "two" {
		t.Errorf("headers are %v", m.Header)
	}
}

func TestLinesOfInputAreNoTemplates(t *testing.T) {
	d, err := newDraft("a", "", draftFlags{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.message(&facts{Count: 1, Body: "keep {{.Count}} and {{bad"}, true)
	if err != nil || string(m.Data) != "keep {{.Count}} and {{bad" {
		t.Errorf("data is %q, %v", m.Data, err)
	}
}

func TestSubjectsThatAServerWouldRefuseAreRefusedHere(t *testing.T) {
	for _, s := range []string{"", "a b", "a..b", ".a", "a.", "a.*", ">", "a\tb", "a\r\nPUB x"} {
		if checkSubject(s) == nil {
			t.Errorf("subject %q is accepted", s)
		}
	}
	for _, s := range []string{"a", "a.b", "a.b*c", "pkg.contrib/net.libc++", "$JS.API.INFO"} {
		if err := checkSubject(s); err != nil {
			t.Errorf("subject %q: %v", s, err)
		}
	}
}

func TestLinesAreSplitAtTheFirstSeparator(t *testing.T) {
	in := newLines(strings.NewReader("a\tone\ttwo\nb\t\r\nc\tlast"), separator("TAB"), 0)
	for _, want := range [][2]string{{"a", "one\ttwo"}, {"b", "\r"}, {"c", "last"}} {
		key, body, err := in.next()
		if err != nil || key != want[0] || body != want[1] {
			t.Errorf("got %q %q %v, want %q", key, body, err, want)
		}
	}
	if _, _, err := in.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last line: %v", err)
	}
	if _, _, err := newLines(strings.NewReader("none\n"), "\t", 0).next(); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a line without separator gives %v", err)
	}
}

func TestCountBoundsLinesAndEmptyLinesAreMessages(t *testing.T) {
	in := newLines(strings.NewReader("\n\nx\n"), "", 2)
	for range 2 {
		if _, body, err := in.next(); err != nil || body != "" {
			t.Errorf("got %q, %v", body, err)
		}
	}
	if _, _, err := in.next(); !errors.Is(err, io.EOF) {
		t.Errorf("the third line of two: %v", err)
	}
}

func TestAckFileIsNeverOverwrittenAndResumes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "acks.tsv")
	a, err := openAckFile(name, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.add(1, 10, "a"), a.add(3, 11, "b"), a.close()); err != nil {
		t.Fatal(err)
	}
	if _, err := openAckFile(name, false); err == nil || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("an existing file without --resume: %v", err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("12\t4"); err != nil { // a line cut short
		t.Fatal(err)
	}
	f.Close()
	a, err = openAckFile(name, true)
	if err != nil {
		t.Fatal(err)
	}
	if !a.have[1] || a.have[2] || !a.have[3] || a.have[12] {
		t.Errorf("resume has %v", a.have)
	}
	if err := errors.Join(a.add(2, 12, "c"), a.close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if want := "1\t10\ta\n3\t11\tb\n2\t12\tc\n"; err != nil || string(b) != want {
		t.Errorf("file is %q, %v", b, err)
	}
}

func TestResumeRefusesAFileThatIsNoAckFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(name, []byte("dear diary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openAckFile(name, true); err == nil {
		t.Error("it is taken")
	}
}

func TestMessagePrintsInEveryForm(t *testing.T) {
	r := &received{N: 2, Subject: "a.b", Header: map[string][]string{"X": {"1"}}, Stream: "S", Sequence: 9}
	r.setData([]byte("hi"))
	for _, c := range []struct {
		p    printer
		want string
	}{
		{printer{}, "[2] a.b  S #9\nX: 1\n\nhi\n"},
		{printer{raw: true}, "hi\n"},
		{printer{headersOnly: true}, "[2] a.b  S #9\nX: 1\n\n"},
		{printer{json: true}, `{"n":2,"subject":"a.b","headers":{"X":["1"]},"data":"hi","stream":"S","seq":9}` + "\n"},
	} {
		var b bytes.Buffer
		p := (&app{out: &b, asJSON: c.p.json, getenv: os.Getenv}).newPrinter(c.p.raw, c.p.headersOnly)
		if err := errors.Join(p.print(r), p.flush()); err != nil || b.String() != c.want {
			t.Errorf("%+v prints %q, %v; want %q", c.p, b.String(), err, c.want)
		}
	}
	binary := &received{}
	binary.setData([]byte{0xff})
	if binary.Base64 == nil || binary.Data != nil {
		t.Error("data that is not UTF-8 is not kept as bytes")
	}
}

func TestEditListsOnlyWhatChanges(t *testing.T) {
	before := jetstream.StreamConfig{Name: "S", Subjects: []string{"a"}, MaxMsgs: 5}
	after := before
	var f streamFlags
	cmd := &cobra.Command{Use: "edit"}
	f.bind(cmd)
	if err := cmd.ParseFlags([]string{"--max-msgs", "9", "--description", "d"}); err != nil {
		t.Fatal(err)
	}
	if err := f.apply(cmd, &after, true); err != nil {
		t.Fatal(err)
	}
	got, err := differences(before, after)
	if want := `description: none -> "d"|max_msgs: 5 -> 9`; err != nil || strings.Join(got, "|") != want {
		t.Errorf("differences are %q, %v", got, err)
	}
}

func TestEveryStreamFlagReachesTheConfiguration(t *testing.T) {
	var f streamFlags
	cmd := &cobra.Command{Use: "add"}
	f.bind(cmd)
	have := map[string]bool{}
	for _, s := range streamSettings {
		have[s.flag] = true
		if cmd.Flags().Lookup(s.flag) == nil {
			t.Errorf("setting %s has no flag", s.flag)
		}
	}
	count := strings.Count(cmd.LocalFlags().FlagUsages(), "\n")
	if len(have) != count {
		t.Errorf("%d settings for %d flags", len(have), count)
	}
}
