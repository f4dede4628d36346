package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// command runs one command line without a terminal and returns status, output and errors.
func command(t *testing.T, stdin string, args ...string) (int, string, string) {
	t.Helper()
	var out, errOut bytes.Buffer
	a := newApp(strings.NewReader(stdin), &out, &errOut)
	a.getenv = func(string) string { return "" }
	status := run(args, a)
	return status, out.String(), errOut.String()
}

func TestFlagsWithoutACommandReachTheServerUntouched(t *testing.T) {
	for _, line := range []string{"", "-c weir.conf -js -p 4222 -DV", "-DV", "--config x.conf", "-p 4222 -h", "serve -p 1"} {
		args := strings.Fields(line)
		got, ok := forServer(args)
		want := args
		if len(args) > 0 && args[0] == "serve" {
			want = args[1:]
		}
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%q: server gets %q, %v; want %q", line, got, ok, want)
		}
	}
	for _, line := range []string{"-h", "--help", "-v", "--version", "pub a b", "help serve", "version"} {
		if got, ok := forServer(strings.Fields(line)); ok {
			t.Errorf("%q goes to the server as %q", line, got)
		}
	}
}

func TestWrongUsageExitsWithTwoAndNamesTheHelp(t *testing.T) {
	for line, want := range map[string]string{
		"pub":                               "weir pub --help",
		"foo":                               "weir --help",
		"strem ls":                          "stream",
		"stream foo":                        "weir stream --help",
		"pub a b c":                         `unexpected argument "c"`,
		"pub a b --bad":                     "unknown flag: --bad",
		"pub a b --split TAB":               "--split is for lines",
		"pub a --split TAB":                 "{{.Key}}",
		"pub a {{.Nope":                     "no valid template",
		"pub a b -H nocolon":                "not KEY:VALUE",
		"pub a b --ack-file x":              "are for --js",
		"sub":                               "SUBJECT is missing",
		"sub a --from all":                  "need --stream",
		"sub --stream S --consumer C extra": "leave out SUBJECT",
		"stream add S":                      "which subjects",
		"stream add S s --storage tape":     "file or memory",
		"stream add S s --max-age soon":     "90s, 36h and 7d",
		"stream get S":                      "say which message",
		"stream get S zero":                 "no sequence",
		"stream rm S":                       "--force",
		"stream purge S":                    "--force",
		"consumer rm S C":                   "--force",
		"consumer add S C --deliver never":  "no position",
		"consumer next S C --nak --term":    "exclude each other",
		"group reset g":                     "no position",
		"group reset g --to 0":              "no position",
		"group reset g --to last":           "--force",
		"group rm g":                        "--force",
		"reply s":                           "one of BODY, --command and --echo",
		"rtt --count 0":                     "at least 1",
	} {
		status, out, errOut := command(t, "", strings.Fields(line)...)
		if status != exitUsage || !strings.Contains(errOut, want) || !strings.Contains(errOut, "Try: weir") {
			t.Errorf("weir %s: status %d, %q; want 2 and %q", line, status, errOut, want)
		}
		if out != "" {
			t.Errorf("weir %s writes a usage error to standard output: %q", line, out)
		}
	}
}

func TestNoServerIsAFailureThatSaysHowToStartOne(t *testing.T) {
	status, _, errOut := command(t, "", "rtt", "-s", "nats://ann:secret@127.0.0.1:1")
	if status != exitFailure || !strings.Contains(errOut, "`weir` starts one") {
		t.Errorf("status %d, %q", status, errOut)
	}
	if strings.Contains(errOut, "secret") {
		t.Errorf("the error shows the password: %q", errOut)
	}
}

func TestEveryCommandTeaches(t *testing.T) {
	root := newRoot(newApp(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}))
	for _, cmd := range root.Commands() {
		for _, c := range append(cmd.Commands(), cmd) {
			if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "weir ") {
				t.Errorf("%s lacks a short text, a long one or an example", c.CommandPath())
			}
			if strings.HasSuffix(c.Short, ".") {
				t.Errorf("%s: the short text ends in a full stop", c.CommandPath())
			}
		}
	}
}

func TestHelpShowsNoSecretFromTheEnvironment(t *testing.T) {
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &out)
	a.getenv = func(string) string { return "hush" }
	if status := run([]string{"pub", "--help"}, a); status != exitOK {
		t.Fatalf("status %d", status)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "hush") && (strings.Contains(line, "--password") || strings.Contains(line, "--token")) {
			t.Errorf("help shows a secret: %s", line)
		}
	}
}

func TestVersionIsOneLineOrJSON(t *testing.T) {
	if _, out, _ := command(t, "", "version"); !strings.HasPrefix(out, "weir "+release) || strings.Count(out, "\n") != 1 {
		t.Errorf("version prints %q", out)
	}
	if _, out, _ := command(t, "", "version", "--json"); !strings.Contains(out, `"version": "`+release+`"`) {
		t.Errorf("version --json prints %q", out)
	}
}
