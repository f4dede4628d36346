package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

func TestBackupsAreSavedVerifiedAndRestored(t *testing.T) {
	s := harness.Start(t, "")
	file := filepath.Join(t.TempDir(), "orders.weir")
	ok(t, s, "", "stream", "add", "ORDERS", "orders.>")
	ok(t, s, strings.Repeat("a line\n", 500), "pub", "--js", "orders.new", "--lines")
	ok(t, s, "", "stream", "purge", "ORDERS", "--before", "100", "--force")
	ok(t, s, "", "consumer", "add", "ORDERS", "c")
	if out := ok(t, s, "", "backup", "stream", "ORDERS", file); !strings.Contains(out, "100 to 500") {
		t.Errorf("saving prints %q", out)
	}
	fails(t, s, 1, "exists", "backup", "stream", "ORDERS", file)
	ok(t, s, "", "backup", "stream", "ORDERS", file, "--force", "--no-consumers")
	ok(t, s, "", "backup", "stream", "ORDERS", file, "--force")
	var facts struct {
		Messages  int
		Consumers []string
	}
	if err := json.Unmarshal([]byte(ok(t, s, "", "backup", "verify", file, "--json")), &facts); err != nil || facts.Messages != 401 || len(facts.Consumers) != 1 {
		t.Errorf("verifying gives %+v, %v", facts, err)
	}
	fails(t, s, 1, "10059", "backup", "stream", "NONE", file, "--force")
	fails(t, s, 1, "10130", "backup", "restore", file)
	fails(t, s, 1, "10065", "backup", "restore", file, "--name", "COPY")
	ok(t, s, "", "backup", "restore", file, "--name", "COPY", "--subject", "copy.>")
	ok(t, s, "", "stream", "rm", "ORDERS", "--force")
	if out := ok(t, s, "", "backup", "restore", file); !strings.Contains(out, "401 messages") {
		t.Errorf("restoring prints %q", out)
	}
	if out := ok(t, s, "", "stream", "get", "ORDERS", "100", "--raw"); out != "a line\n" {
		t.Errorf("message 100 is %q", out)
	}
	ok(t, s, "", "consumer", "info", "ORDERS", "c")
	piped := ok(t, s, "", "backup", "stream", "COPY", "-")
	ok(t, s, piped, "backup", "verify", "-")
	ok(t, s, "", "stream", "rm", "COPY", "--force")
	ok(t, s, piped, "backup", "restore", "-")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 16
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, s, 1, "damaged at offset", "backup", "verify", file)
	fails(t, s, 1, "damaged at offset", "backup", "restore", file, "--name", "BAD", "--subject", "bad")
	fails(t, s, 1, "10059", "stream", "info", "BAD")
}
