package cli_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

// ok runs a command that must succeed and returns what it printed.
func ok(t *testing.T, s *harness.Server, stdin string, args ...string) string {
	t.Helper()
	status, out, errOut := s.CLI(strings.NewReader(stdin), args...)
	if status != 0 {
		t.Fatalf("weir %s: status %d\n%s%s", strings.Join(args, " "), status, out, errOut)
	}
	return out
}

// fails runs a command that must fail with status and a text on standard error.
func fails(t *testing.T, s *harness.Server, status int, text string, args ...string) {
	t.Helper()
	got, _, errOut := s.CLI(strings.NewReader(""), args...)
	if got != status || !strings.Contains(errOut, text) {
		t.Errorf("weir %s: status %d, %q; want %d and %q", strings.Join(args, " "), got, errOut, status, text)
	}
}

// background starts a command; lines gives what it prints, wait its exit status.
func background(t *testing.T, s *harness.Server, args ...string) (lines <-chan string, wait func() int) {
	t.Helper()
	cmd := s.Command(args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended where the test went well
	all := make(chan string, 1000)
	go func() {
		defer close(all)
		for in := bufio.NewScanner(out); in.Scan(); {
			all <- in.Text()
		}
	}()
	return all, func() int {
		_ = cmd.Wait() // the state says it
		return cmd.ProcessState.ExitCode()
	}
}

// subscribed waits until somebody listens on a subject. That one gets one probe:
// those before it came back as "no responders".
func subscribed(t *testing.T, s *harness.Server, subject string) {
	t.Helper()
	nc := s.Connect()
	defer nc.Close()
	harness.Eventually(t, "somebody listens on "+subject, func() bool {
		inbox := nc.NewInbox()
		back, err := nc.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(nc.PublishRequest(subject, inbox, []byte("probe")), nc.Flush()); err != nil {
			t.Fatal(err)
		}
		n, _, err := back.Pending()
		return err == nil && n == 0
	})
}

func TestPubReachesSub(t *testing.T) {
	s := harness.Start(t, "")
	lines, wait := background(t, s, "sub", "greet.*", "--raw", "--count", "4")
	subscribed(t, s, "greet.probe")
	if out := ok(t, s, "", "pub", "greet.ann", "hello {{.Count}}", "--count", "2"); !strings.HasPrefix(out, "Published 2 messages") {
		t.Errorf("pub prints %q", out)
	}
	ok(t, s, "line {{.Count}}\n", "pub", "greet.lines")
	var got []string
	for line := range lines {
		got = append(got, line)
	}
	if text := strings.Join(got, "|"); text != "probe|hello 1|hello 2|line {{.Count}}" || wait() != 0 {
		t.Errorf("sub prints %q", text)
	}
}

func TestRequestsAreAnsweredByReply(t *testing.T) {
	s := harness.Start(t, "")
	fails(t, s, 1, "nobody answers there", "request", "upper", "x")
	_, wait := background(t, s, "reply", "upper", "--command", "tr a-z A-Z", "--count", "2", "--queue", "q")
	harness.Eventually(t, "it answers", func() bool {
		status, out, _ := s.CLI(strings.NewReader(""), "request", "upper", "warm up", "--raw")
		return status == 0 && out == "WARM UP\n"
	})
	if out := ok(t, s, "from standard input", "request", "upper", "-", "--raw"); out != "FROM STANDARD INPUT\n" {
		t.Errorf("request prints %q", out)
	}
	if wait() != 0 {
		t.Error("reply failed")
	}
}

func TestStreamsAreManaged(t *testing.T) {
	s := harness.Start(t, "")
	if out := ok(t, s, "", "stream", "ls"); !strings.Contains(out, "No streams") {
		t.Errorf("ls prints %q", out)
	}
	out := ok(t, s, "", "stream", "add", "ORDERS", "orders.>", "--max-age", "30d", "--max-bytes", "1GB", "--description", "what is sold")
	for _, want := range []string{"Stream ORDERS", "orders.>", "30d", "1.0 GiB", "what is sold"} {
		if !strings.Contains(out, want) {
			t.Errorf("add does not print %q:\n%s", want, out)
		}
	}
	ok(t, s, "one\ntwo\nthree\n", "pub", "--js", "orders.new")
	if out := ok(t, s, "", "stream", "ls"); !strings.Contains(out, "NAME") || !strings.Contains(out, "ORDERS") {
		t.Errorf("ls prints %q", out)
	}
	if out := ok(t, s, "", "stream", "ls", "--names"); out != "ORDERS\n" {
		t.Errorf("ls --names prints %q", out)
	}
	var info struct{ State struct{ Messages int } }
	if err := json.Unmarshal([]byte(ok(t, s, "", "stream", "info", "ORDERS", "--json")), &info); err != nil || info.State.Messages != 3 {
		t.Errorf("info is %+v, %v", info, err)
	}
	if out := ok(t, s, "", "stream", "get", "ORDERS", "2", "--raw"); out != "two\n" {
		t.Errorf("get prints %q", out)
	}
	if out := ok(t, s, "", "stream", "get", "ORDERS", "--last", "orders.new", "--raw"); out != "three\n" {
		t.Errorf("get --last prints %q", out)
	}
	if out := ok(t, s, "", "stream", "edit", "ORDERS", "--max-msgs", "2"); out != "max_msgs: -1 -> 2\n" {
		t.Errorf("edit prints %q", out)
	}
	fails(t, s, 2, "--force", "stream", "purge", "ORDERS")
	if out := ok(t, s, "", "stream", "purge", "ORDERS", "--force"); out != "Purged stream ORDERS: 2 messages before, 0 left\n" {
		t.Errorf("purge prints %q", out)
	}
	if out := ok(t, s, "", "stream", "rm", "ORDERS", "--force"); out != "Removed stream ORDERS\n" {
		t.Errorf("rm prints %q", out)
	}
	fails(t, s, 1, "stream not found", "stream", "info", "ORDERS")
	fails(t, s, 1, "no stream captures", "pub", "--js", "orders.new", "x")
}

func TestStreamsAreReplayedFromAnyPosition(t *testing.T) {
	s := harness.Start(t, "")
	ok(t, s, "", "stream", "add", "S", "s.>")
	ok(t, s, "a\t1\nb\t2\na\t3\nc\t4\n", "pub", "--js", "s.{{.Key}}", "--split", "TAB")
	for want, args := range map[string][]string{
		"1 2 3 4": {"--from", "all"},
		"3 4":     {"--from", "3"},
		"4":       {"--from", "last"},
		"2 3 4":   {"--last-per-subject"},
		"1 3":     {"s.a", "--from", "1h"},
		"1 2":     {"--from", "all", "--count", "2"},
	} {
		all := append([]string{"sub", "--stream", "S", "--raw", "--end"}, args...)
		if got := strings.Join(strings.Fields(ok(t, s, "", all...)), " "); got != want {
			t.Errorf("weir %s prints %q, want %q", strings.Join(all, " "), got, want)
		}
	}
	if out := ok(t, s, "", "sub", "--stream", "S", "--end"); out != "" {
		t.Errorf("from the end comes %q", out)
	}
	if out := ok(t, s, "", "consumer", "ls", "S", "--names"); out != "" {
		t.Errorf("reading left consumers: %q", out)
	}
	fails(t, s, 1, "0 of 1 message came", "sub", "--stream", "S", "--count", "1", "--wait", "50ms")
}

func TestConsumersAreManagedAndShared(t *testing.T) {
	s := harness.Start(t, "")
	ok(t, s, "", "stream", "add", "S", "s.>")
	ok(t, s, "", "pub", "--js", "s.x", "{{.Count}}", "--count", "200", "--quiet")
	if out := ok(t, s, "", "consumer", "add", "S", "work", "--ack-wait", "1m", "--filter", "s.x"); !strings.Contains(out, "Consumer work of stream S") || !strings.Contains(out, "1m") {
		t.Errorf("add prints %q", out)
	}
	if out := ok(t, s, "", "consumer", "next", "S", "work", "--raw", "--nak"); out != "1\n" {
		t.Errorf("next prints %q", out)
	}
	if out := ok(t, s, "", "consumer", "next", "S", "work", "--raw", "--count", "3"); out != "1\n2\n3\n" {
		t.Errorf("next prints %q", out)
	}
	one, waitOne := background(t, s, "sub", "--stream", "S", "--consumer", "work", "--raw", "--wait", "1s")
	two, waitTwo := background(t, s, "sub", "--stream", "S", "--consumer", "work", "--raw", "--wait", "1s")
	seen := map[string]int{}
	for _, lines := range []<-chan string{one, two} {
		for line := range lines {
			seen[line]++
		}
	}
	if waitOne() != 0 || waitTwo() != 0 || len(seen) != 197 {
		t.Errorf("%d of 197 came", len(seen))
	}
	for line, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", line, n)
		}
	}
	out := ok(t, s, "", "consumer", "info", "S", "work")
	if !strings.Contains(out, "Acknowledged up to      stream sequence 200") {
		t.Errorf("info prints\n%s", out)
	}
	if out := ok(t, s, "", "consumer", "ls", "S"); !strings.Contains(out, "work") {
		t.Errorf("ls prints %q", out)
	}
	fails(t, s, 1, "no message came", "consumer", "next", "S", "work", "--wait", "50ms")
	ok(t, s, "", "consumer", "rm", "S", "work", "--force")
	fails(t, s, 1, "consumer not found", "consumer", "info", "S", "work")
}

func TestPublishingResumesAfterAKill(t *testing.T) {
	s := harness.Start(t, "")
	ok(t, s, "", "stream", "add", "S", "s.>", "--dedup-window", "1h")
	var input strings.Builder
	const n = 60000
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&input, "k%d\trecord %d\n", i%10, i)
	}
	publish := []string{"pub", "--js", "s.{{.Key}}", "--split", "TAB", "--msg-id", "{{.Count}}", "--ack-file", "acks.tsv"}
	first := s.Command(publish...)
	first.Stdin = strings.NewReader(input.String())
	var out strings.Builder
	first.Stdout, first.Stderr = &out, &out
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Dir, "acks.tsv")
	harness.Eventually(t, "some are acknowledged", func() bool {
		b, err := os.ReadFile(file)
		return err == nil && len(b) > 0
	})
	s.Kill()
	_ = first.Wait() // the state says it
	if first.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "--resume") {
		t.Fatalf("status %d\n%s", first.ProcessState.ExitCode(), out.String())
	}
	s.Run()
	fails(t, s, 1, "exists", publish...)
	ok(t, s, input.String(), append(publish, "--resume")...)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	acked := map[string]string{} // sequence to number
	for line := range strings.Lines(string(b)) {
		f := strings.Split(line, "\t")
		acked[f[1]] = f[0]
	}
	if len(acked) != n {
		t.Errorf("%d of %d are acknowledged", len(acked), n)
	}
	replay := strings.Fields(strings.ReplaceAll(ok(t, s, "", "sub", "--stream", "S", "--from", "all", "--end", "--raw"), "record ", ""))
	if len(replay) != n {
		t.Fatalf("%d of %d are stored", len(replay), n)
	}
	for i, number := range replay {
		if number != fmt.Sprint(i+1) || acked[fmt.Sprint(i+1)] != number {
			t.Fatalf("sequence %d is record %s, acknowledged for record %s", i+1, number, acked[fmt.Sprint(i+1)])
		}
	}
}

func TestRTTAndVersionPrintJSON(t *testing.T) {
	s := harness.Start(t, "")
	var rtt struct {
		Count int
		MinNs int64 `json:"min_ns"`
	}
	if err := json.Unmarshal([]byte(ok(t, s, "", "rtt", "--count", "3", "--json")), &rtt); err != nil || rtt.Count != 3 || rtt.MinNs <= 0 {
		t.Errorf("rtt is %+v, %v", rtt, err)
	}
	var version struct{ Version, Go string }
	if err := json.Unmarshal([]byte(ok(t, s, "", "version", "--json")), &version); err != nil || version.Version == "" || version.Go == "" {
		t.Errorf("version is %+v, %v", version, err)
	}
}
