package quickstart

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the commands print into the page")

// mark separates the commands' outputs; no command prints it.
const mark = "\x01next\x01\n"

func TestThePageShowsWhatIsPrinted(t *testing.T) { shows(t, "quickstart.md", "4222", "8222") }

func TestLiftbridgesPageShowsWhatIsPrinted(t *testing.T) {
	shows(t, "liftbridge-quickstart.md", "4222", "9292")
}

// shows runs the commands of a page, which needs these ports, and compares.
func shows(t *testing.T, name string, ports ...string) {
	t.Helper()
	for _, port := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatalf("the page needs port %s: %v", port, err)
		}
		l.Close()
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(repository, "docs", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	list := steps(page)
	if len(list) == 0 {
		t.Fatal("the page has no commands")
	}
	clone := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("git", "clone", "-q", repository, clone).CombinedOutput(); err != nil {
		t.Fatalf("clone: %v\n%s", err, out)
	}
	outputs := perform(t, clone, list)
	if *update {
		if err := os.WriteFile(path, []byte(rewrite(page, list, outputs)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, s := range list {
		if got, want := apart(outputs[i]), apart(s.output); got != want {
			t.Errorf("docs/%s:%d: $ %s\nprints\n%s\nand the page says\n%s", name, s.line+1, s.command, got, want)
		}
	}
}

// perform runs the commands in one shell and returns what each printed.
func perform(t *testing.T, dir string, list []step) []string {
	t.Helper()
	var script strings.Builder
	for _, s := range list {
		if strings.HasPrefix(s.command, "go build") {
			s.command += " || exit 1" // nothing else makes sense then
		}
		fmt.Fprintf(&script, "%s\nprintf '%s'\n", s.command, strings.ReplaceAll(strings.ReplaceAll(mark, "\x01", `\001`), "\n", `\n`))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "TZ=UTC", "NATS_URL=", "GOFLAGS=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what the page left running
	}
	if err != nil {
		t.Errorf("the page's last command: %v", err)
	}
	parts := strings.Split(notices.ReplaceAllString(string(out), ""), mark)
	if len(parts) != len(list)+1 {
		t.Fatalf("%d of %d commands ran:\n%s", len(parts)-1, len(list), out[max(0, len(out)-4<<10):])
	}
	return parts[:len(list)]
}

func TestFiguresAreSetApart(t *testing.T) {
	a := "Stored 61,234 messages (4.3 MiB) in 1.45s, 42,229/s\nNAME  LAST\nAPI   2026-11-21 05:20:54.590"
	b := "Stored 7 messages (12 B) in 330µs, 1/s\nNAME LAST\nAPI     2027-01-02 00:00:00.000"
	if apart(a) != apart(b) {
		t.Errorf("%q and %q", apart(a), apart(b))
	}
	if apart("Stored 1 of 2") == apart("Lost 1 of 2") {
		t.Error("words are set apart, too")
	}
}

func TestAPageIsRewrittenWithItsOutputs(t *testing.T) {
	page := "text\n```console\n$ a\nold\nold\n$ b\n```\nmore\n```console\n$ c\n```\nend\n"
	list := steps(page)
	got := rewrite(page, list, []string{"1\n", "2\n2\n", ""})
	if want := "text\n```console\n$ a\n1\n$ b\n2\n2\n```\nmore\n```console\n$ c\n```\nend\n"; got != want {
		t.Errorf("got %q", got)
	}
}
