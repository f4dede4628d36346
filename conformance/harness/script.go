package harness

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// scriptLimit is how long a script, and the installation before it, may take each.
const scriptLimit = 2 * time.Minute

// Node runs cases.mjs of the test's directory with these arguments, as Script does. Its
// packages come from the npm registry if the file installed is not there. Without Node or npm
// the test is skipped.
func Node(t *testing.T, installed string, args ...string) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the JavaScript client is not tested", tool)
		}
	}
	install(t, installed)
	Script(t, "node", append([]string{"cases.mjs"}, args...)...)
}

// Script runs a program of cases, which prints a line "ok NAME" or "not ok NAME: REASON" for
// each, which become tests, and "done" at its end.
func Script(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), scriptLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
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

// install gets the script's packages if they are not there.
func install(t *testing.T, installed string) {
	t.Helper()
	if _, err := os.Stat(installed); err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptLimit)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}
