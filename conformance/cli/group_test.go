package cli_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

// askGroup sends a request about groups that must succeed.
func askGroup(t *testing.T, nc *nats.Conn, request, body string) map[string]any {
	t.Helper()
	m, err := nc.Request("$WEIR.API.GROUP."+request, []byte(body), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer["error"] != nil {
		t.Fatalf("%s: %s", request, m.Data)
	}
	return answer
}

func TestGroupsAreShownAndSetBack(t *testing.T) {
	s := harness.Start(t, "")
	if out := ok(t, s, "", "group", "ls"); !strings.HasPrefix(out, "No consumer groups") {
		t.Errorf("ls prints %q", out)
	}
	if out := ok(t, s, "", "stream", "ls", "--names"); out != "" {
		t.Errorf("streams that nobody made: %q", out)
	}
	fails(t, s, 1, "`weir group ls` lists the groups", "group", "info", "billing")
	ok(t, s, "", "stream", "add", "ORDERS", "orders.>", "--metadata", "weir.partitions=2")
	ok(t, s, "", "pub", "--js", "orders.{{.Count}}", "x", "--count", "20")
	if out := ok(t, s, "", "stream", "info", "ORDERS"); !strings.Contains(out, "20") {
		t.Errorf("stream info prints\n%s", out)
	}
	nc := s.Connect()
	defer nc.Close()
	a := askGroup(t, nc, "JOIN.billing", `{"consumer":"c1","streams":["ORDERS"]}`)
	askGroup(t, nc, "COMMIT.billing", fmt.Sprintf(`{"consumer":"c1","epoch":%v,"cursors":[{"name":"ORDERS:0","last":3}]}`, a["epoch"]))
	out := ok(t, s, "", "group", "ls")
	if f := strings.Fields(out); strings.Join(f, " ") != "NAME MEMBERS EPOCH billing 1 0" {
		t.Errorf("ls prints\n%s", out)
	}
	out = ok(t, s, "", "group", "info", "billing")
	for _, want := range []string{"Group billing", "c1      ORDERS:0 ORDERS:1", "ORDERS:0   c1         3", "ORDERS:1   c1         -", "17\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("info lacks %q:\n%s", want, out)
		}
	}
	fails(t, s, 1, "left or expired", "group", "reset", "billing", "--to", "first", "--force")
	fails(t, s, 1, "left or expired", "group", "rm", "billing", "--force")
	askGroup(t, nc, "LEAVE.billing", `{"consumer":"c1"}`)
	out = ok(t, s, "", "group", "reset", "billing", "ORDERS", "--to", "5", "--force")
	if strings.Join(strings.Fields(out), " ") != "PARTITION GOES ON AT ORDERS:0 5 ORDERS:1 5" {
		t.Errorf("reset prints\n%s", out)
	}
	out = ok(t, s, "", "group", "reset", "billing", "--to", "1h", "--force", "--json")
	if strings.Count(out, `"last": 0`) != 2 {
		t.Errorf("reset prints\n%s", out)
	}
	var info struct {
		Members    []any
		Partitions []struct {
			Name     string
			End, Lag uint64
		}
	}
	if err := json.Unmarshal([]byte(ok(t, s, "", "group", "info", "billing", "--json")), &info); err != nil {
		t.Fatal(err)
	}
	if p := info.Partitions; len(p) != 2 || p[0].Lag+p[1].Lag != 20 || p[0].Name != "ORDERS:0" || len(info.Members) != 0 {
		t.Errorf("%+v", info)
	}
	s.Kill()
	s.Run()
	if out := ok(t, s, "", "group", "ls", "--names"); out != "billing\n" {
		t.Errorf("after a crash: %q", out)
	}
	if out := ok(t, s, "", "group", "rm", "billing", "--force"); out != "Removed group billing\n" {
		t.Errorf("rm prints %q", out)
	}
	fails(t, s, 1, "error 20001", "group", "info", "billing")
}

func TestCursorsByNameAreShownAndMoved(t *testing.T) {
	s := harness.Start(t, "")
	show := func(args ...string) string {
		t.Helper()
		return strings.Join(strings.Fields(ok(t, s, "", append([]string{"group", "cursor"}, args...)...)), " ")
	}
	for _, step := range []struct{ args, want string }{
		{"a.b:2 mine", "a.b:2 mine not set"},
		{"a.b:2 mine --to 1040 --force", "a.b:2 mine 1,040"},
		{"a.b:2 mine", "a.b:2 mine 1,040"},
		{"a.b mine", "a.b mine not set"},
		{"a.b:2 mine --to first --force", "a.b:2 mine before the first message"},
	} {
		if got := show(strings.Fields(step.args)...); got != "PARTITION CURSOR OFFSET "+step.want {
			t.Errorf("%s: %q", step.args, got)
		}
	}
	if out := ok(t, s, "", "group", "cursor", "a.b:2", "mine", "--json"); !strings.Contains(out, `"offset": -2`) {
		t.Errorf("%s", out)
	}
	show("a.b", "too", "--to", "7", "--force")
	for of, want := range map[string]string{"a.b": "a.b:0 too 7 a.b:2 mine before the first message", "a.b:2": "a.b:2 mine before the first message"} {
		if got := show(of); got != "PARTITION CURSOR OFFSET "+want {
			t.Errorf("cursors of %s: %q", of, got)
		}
	}
	if got := show("a"); got != "No cursors." {
		t.Errorf("cursors of a: %q", got)
	}
	if out := ok(t, s, "", "group", "cursor", "a.b:2", "--json"); !strings.Contains(out, `"cursor": "mine"`) {
		t.Errorf("%s", out)
	}
	fails(t, s, 2, "needs a CURSOR", "group", "cursor", "a", "--to", "3", "--force")
	fails(t, s, 2, "no number of a partition", "group", "cursor", "a:x")
	fails(t, s, 2, "--force", "group", "cursor", "a", "mine", "--to", "3")
	fails(t, s, 2, "no number of a partition", "group", "cursor", "a:x", "mine")
	fails(t, s, 2, "no position", "group", "cursor", "a", "mine", "--to", "-4", "--force")
	fails(t, s, 2, "must not be empty", "group", "cursor", "a", "")
}
