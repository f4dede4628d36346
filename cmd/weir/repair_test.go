package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/check"
)

func TestRepairNeedsAnAnswer(t *testing.T) {
	dir := dataDir(t)
	status, _, errOut := command(t, "", "repair", dir)
	if status != exitUsage || !strings.Contains(errOut, "needs --yes") {
		t.Errorf("status %d, %q", status, errOut)
	}
	status, out, _ := command(t, "", "repair", dir, "--yes")
	if status != exitOK || !strings.Contains(out, "Nothing to repair") {
		t.Errorf("of a good directory: status %d, %q", status, out)
	}
}

func TestRepairSaysWhatItDid(t *testing.T) {
	dir := dataDir(t)
	name := filepath.Join(dir, "catalog")
	if err := os.WriteFile(name, []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errOut := command(t, "", "repair", dir, "-y")
	if status != exitOK || errOut != "" || !strings.Contains(out, "rebuilt catalog: from the other one\n") || !strings.Contains(out, "The originals are in repair-") {
		t.Errorf("status %d, %q, %q", status, out, errOut)
	}
	if err := os.Remove(filepath.Join(dir, "catalog.copy")); err != nil {
		t.Fatal(err)
	}
	status, out, _ = command(t, "", "repair", dir, "-y", "--json")
	var r check.Repaired
	if err := json.Unmarshal([]byte(out), &r); status != exitOK || err != nil || len(r.Rebuilt) != 1 || !r.After.Clean() || r.Before.Clean() {
		t.Errorf("status %d, %v, %q", status, err, out)
	}
	if status, out, _ := command(t, "", "check", dir); status != exitOK {
		t.Errorf("after the repair: status %d, %q", status, out)
	}
}
