package dirlog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/logstore"
	"github.com/weirmq/weir/logstore/logtest"
)

func TestTheExampleIsALog(t *testing.T) { logtest.Run(t, logtest.Config{Kind: Kind, Seeds: 6}) }

func TestDamageIsAnErrorAndNoAbsence(t *testing.T) {
	dir := t.TempDir()
	l, err := Kind.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(logstore.Frame{First: 1, Last: 1, Data: []byte("content")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Checkpoint(nil); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "00000001.frames")
	if err := os.WriteFile(file, []byte("cOntent"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := l.Find(1); err == nil {
		t.Errorf("%q is read", f.Data)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Find(1); err == nil || err == logstore.ErrNone {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, head), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Kind.Open(dir); err == nil {
		t.Error("a damaged head is taken")
	}
}
