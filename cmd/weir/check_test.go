package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/check"
	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs"
)

// dataDir is the data directory of a server that was stopped.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := server.OpenOffline(server.OfflineOptions{FS: vfs.OS{}, Dir: dir})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckTellsByItsStatus(t *testing.T) {
	dir := dataDir(t)
	status, out, errOut := command(t, "", "check", dir)
	if status != exitOK || errOut != "" || !strings.Contains(out, "no damage") {
		t.Errorf("a good directory: status %d, %q, %q", status, out, errOut)
	}
	if err := os.WriteFile(filepath.Join(dir, "catalog"), []byte("not one"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, _ = command(t, "", "check", dir)
	if status != exitFailure || !strings.Contains(out, "catalog\n  offset 0, 7 bytes: costs nothing") || !strings.Contains(out, "1 damaged range\n") {
		t.Errorf("a damaged one: status %d, %q", status, out)
	}
	status, out, _ = command(t, "", "check", dir, "--json")
	var r check.Report
	if err := json.Unmarshal([]byte(out), &r); status != exitFailure || err != nil || len(r.Damage) != 1 || r.Damage[0].Kind != check.KindCatalog {
		t.Errorf("as JSON: status %d, %v, %+v", status, err, r)
	}
	status, out, errOut = command(t, "", "check", t.TempDir())
	if status != exitUnchecked || out != "" || !strings.Contains(errOut, "no data directory of weir") {
		t.Errorf("no data directory: status %d, %q, %q", status, out, errOut)
	}
}

func TestAKeyFileThatIsNotThereIsNoKey(t *testing.T) {
	dir := dataDir(t)
	for _, line := range [][]string{{"check", dir}, {"repair", dir, "--yes"}} {
		status, out, errOut := command(t, "", append(line, "--key-file", filepath.Join(dir, "none"))...)
		if status == exitOK || out != "" || !strings.Contains(errOut, "read the key") {
			t.Errorf("%v: status %d, %q, %q", line, status, out, errOut)
		}
	}
}

func TestAReportSaysWhatDamageCosts(t *testing.T) {
	for want, d := range map[string]check.Damage{
		"offset 5, 7 bytes: stream S: sequence 9: bad":                             {Offset: 5, Length: 7, ID: 16, Stream: "S", Account: "$G", First: 9, Last: 9, Cost: check.CostRecords, Detail: "bad"},
		"offset 5: stream S of account A: sequences 9 to 11: bad (quarantined)":    {Offset: 5, ID: 16, Stream: "S", Account: "A", First: 9, Last: 11, Cost: check.CostRecords, Detail: "bad", Quarantined: true},
		"offset 0: stream 16, which the catalog does not have: costs nothing: bad": {ID: 16, Cost: check.CostNothing, Detail: "bad"},
		"offset 0, 64 bytes: stream S: the stream cannot be opened: bad":           {Length: 64, ID: 16, Stream: "S", Cost: check.CostStream, Detail: "bad"},
		"offset 4096, 8192 bytes: the server does not start: batch 2: checksum":    {Offset: 4096, Length: 8192, Cost: check.CostServer, Detail: "batch 2: checksum"},
	} {
		if got := describe(&d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for want, r := range map[string]check.Report{
		"2 files, 1 stream, 0 B read: no damage":                       {Files: 2, Streams: 1},
		"1 file, 0 streams, 0 B read: no new damage, 1 quarantined":    {Files: 1, Damage: []check.Damage{{Quarantined: true}}},
		"1 file, 0 streams, 0 B read: 1 damaged range, 1 quarantined":  {Files: 1, Damage: []check.Damage{{Quarantined: true}, {}}},
		"1 file, 0 streams, 0 B read: not everything could be checked": {Files: 1, Unchecked: []string{"x"}},
	} {
		if got := verdict(&r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
