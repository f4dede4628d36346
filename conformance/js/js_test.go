package js_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// limit is how long the script, and the installation before it, may take each.
const limit = 2 * time.Minute

// TestTheJavaScriptClientWorks runs the script, which prints a line "ok NAME" or
// "not ok NAME: REASON" for each of its cases, and "done" at its end.
func TestTheJavaScriptClientWorks(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the JavaScript client is not tested", tool)
		}
	}
	install(t)
	server := harness.Start(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "cases.mjs", server.URL)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	cases, done := 0, false
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		line := lines.Text()
		if line == "done" {
			done = true
			continue
		}
		name, good := strings.CutPrefix(line, "ok ")
		if !good {
			name, _, _ = strings.Cut(strings.TrimPrefix(line, "not ok "), ":")
		}
		cases++
		t.Run(name, func(t *testing.T) {
			if !good {
				t.Error(line)
			}
		})
	}
	if err != nil || !done || cases == 0 {
		t.Errorf("after %d cases: %v\n%s", cases, err, errOut.Bytes())
	}
}

// install gets the client's packages if they are not there.
func install(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("node_modules/@nats-io/obj/package.json"); err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}
