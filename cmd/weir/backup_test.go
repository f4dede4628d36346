package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/record"
)

// sampleBackup writes a backup of a stream with one consumer and 20 messages.
func sampleBackup(t *testing.T) (file string, b []byte) {
	t.Helper()
	h := &backup.Head{
		Stream: []byte(`{"name":"S","subjects":["s.>"],"dialect":"jetstream","doc":{"name":"S","subjects":["s.>"]}}`),
		First:  3, Last: 30, Records: 20, Consumers: 1,
	}
	var views []record.View
	for i := range 20 {
		v := record.View{Seq: uint64(3 + i), Time: int64(i), Subject: []byte("s.a"), Data: []byte("body")}
		h.Bytes += v.Size()
		views = append(views, v)
	}
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, h)
	if err == nil {
		err = w.Consumer([]byte(`{"id":1,"config":{"name":"c"}}`), nil)
	}
	for i := range views {
		if err == nil {
			err = w.Record(&views[i])
		}
	}
	if err == nil {
		err = w.Close()
	}
	file = filepath.Join(t.TempDir(), "s.weir")
	if err == nil {
		err = os.WriteFile(file, out.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file, out.Bytes()
}

func TestABackupIsVerifiedWithoutAServer(t *testing.T) {
	file, b := sampleBackup(t)
	status, out, errOut := command(t, "", "backup", "verify", file)
	if status != exitOK || errOut != "" || !strings.Contains(out, "is whole") || !strings.Contains(out, "3 to 30") || !strings.Contains(out, "c\n") {
		t.Errorf("a whole one: status %d, %q, %q", status, out, errOut)
	}
	if status, out, _ := command(t, string(b), "backup", "verify", "-", "--json"); status != exitOK || !strings.Contains(out, `"messages": 20`) || !strings.Contains(out, `"last_seq": 30`) {
		t.Errorf("from standard input: status %d, %q", status, out)
	}
	b[len(b)-60] ^= 4
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errOut = command(t, "", "backup", "verify", file)
	if status != exitFailure || out != "" || !strings.Contains(errOut, "damaged at offset") || !strings.Contains(errOut, "after record 2") {
		t.Errorf("a damaged one: status %d, %q, %q", status, out, errOut)
	}
	for _, args := range [][]string{{"backup", "verify", "-"}, {"backup", "restore", "-"}} {
		if status, _, errOut := command(t, "something else", args...); status != exitFailure || !strings.Contains(errOut, "not a backup") {
			t.Errorf("%v of something else: status %d, %q", args, status, errOut)
		}
	}
	if status, _, errOut := command(t, "", "backup", "restore", filepath.Join(t.TempDir(), "none")); status != exitFailure || !strings.Contains(errOut, "open the backup") {
		t.Errorf("no file: status %d, %q", status, errOut)
	}
}

func TestABackupThatFailsLeavesNoFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.weir")
	status, _, errOut := command(t, "", "backup", "stream", "S", file, "-s", "nats://127.0.0.1:1")
	if status != exitFailure || !strings.Contains(errOut, "cannot connect") {
		t.Errorf("status %d, %q", status, errOut)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errOut := command(t, "", "backup", "stream", "S", file); status != exitFailure || !strings.Contains(errOut, "--force") {
		t.Errorf("status %d, %q", status, errOut)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file became %q, %v", b, err)
	}
}

func TestSettingsOfARestoredStreamMayBeChanged(t *testing.T) {
	saved := &savedStream{Name: "S", Dialect: "jetstream", Doc: []byte(`{"name":"S","subjects":["s.>"],"max_msgs":5}`)}
	f := backupRestoreFlags{name: "T", subjects: []string{"a", "b"}}
	name, doc, err := f.settings(saved)
	if want := `{"max_msgs":5,"name":"T","subjects":["a","b"]}`; err != nil || name != "T" || string(doc) != want {
		t.Errorf("%s, %s, %v", name, doc, err)
	}
	saved.Dialect = "other"
	if _, _, err := f.settings(saved); err == nil {
		t.Error("another protocol's stream is restored")
	}
}
