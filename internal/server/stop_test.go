package server

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// manifests gives when each stream's manifest was written.
func manifests(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "streams", "*", "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]time.Time{}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		at[name] = info.ModTime()
	}
	return at
}

func TestAStopWritesOnlyStreamsThatHaveChanged(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	const streams = 40
	for i := range streams {
		n.request(fmt.Sprintf("$JS.API.STREAM.CREATE.S%d", i), fmt.Sprintf(`{"name":"S%d","subjects":["s.%d"],"storage":"file"}`, i, i))
		n.request(fmt.Sprintf("s.%d", i), "first")
	}
	n.shut()
	before := manifests(t, dir)
	if len(before) != streams {
		t.Fatalf("%d manifests of %d streams", len(before), streams)
	}
	n = open(t, dir)
	n.request("s.7", "second")
	n.shut()
	changed := 0
	for name, at := range manifests(t, dir) {
		if !at.Equal(before[name]) {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d manifests were written for one stream that changed", changed)
	}
	n = open(t, dir)
	defer n.shut()
	for i := range streams {
		want := 1.0
		if i == 7 {
			want = 2
		}
		state := n.request(fmt.Sprintf("$JS.API.STREAM.INFO.S%d", i), "")["state"].(map[string]any)
		if state["messages"] != want {
			t.Errorf("stream %d has %v messages", i, state["messages"])
		}
	}
}
