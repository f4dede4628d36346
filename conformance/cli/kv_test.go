package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

func TestValuesAreKeptUnderKeys(t *testing.T) {
	s := harness.Start(t, "")
	fails(t, s, 1, "weir kv add", "kv", "get", "CONFIG", "a")
	if out := ok(t, s, "", "kv", "add", "CONFIG", "--history", "5", "--description", "settings"); !strings.Contains(out, "Bucket CONFIG") || !strings.Contains(out, "KV_CONFIG") {
		t.Errorf("add prints\n%s", out)
	}
	fails(t, s, 2, "1 to 64", "kv", "add", "BAD", "--history", "65")
	fails(t, s, 1, "weir kv keys", "kv", "get", "CONFIG", "a")
	if out := ok(t, s, "", "kv", "put", "CONFIG", "a", "one"); out != "CONFIG a: revision 1\n" {
		t.Errorf("put prints %q", out)
	}
	ok(t, s, "from\x00stdin", "kv", "put", "CONFIG", "b.c")
	if out := ok(t, s, "", "kv", "get", "CONFIG", "b.c", "--raw"); out != "from\x00stdin" {
		t.Errorf("get --raw prints %q", out)
	}
	fails(t, s, 1, "weir kv update", "kv", "create", "CONFIG", "a", "x")
	fails(t, s, 2, "--revision N", "kv", "update", "CONFIG", "a", "x")
	fails(t, s, 1, "somebody else", "kv", "update", "CONFIG", "a", "x", "--revision", "7")
	ok(t, s, "", "kv", "update", "CONFIG", "a", "two", "--revision", "1")
	var e struct {
		Key, Value, Operation string
		Revision              uint64
	}
	if err := json.Unmarshal([]byte(ok(t, s, "", "kv", "get", "CONFIG", "a", "--json")), &e); err != nil || e.Value != "two" || e.Revision != 3 || e.Operation != "put" {
		t.Errorf("get --json gives %+v, %v", e, err)
	}
	if out := ok(t, s, "", "kv", "get", "CONFIG", "a", "--revision", "1", "--raw"); out != "one" {
		t.Errorf("revision 1 is %q", out)
	}
	if out := ok(t, s, "", "kv", "keys", "CONFIG"); out != "a\nb.c\n" {
		t.Errorf("keys prints %q", out)
	}
	if out := ok(t, s, "", "kv", "keys", "CONFIG", "b.>"); out != "b.c\n" {
		t.Errorf("keys with a filter prints %q", out)
	}
	if out := ok(t, s, "", "kv", "ls", "--names"); out != "CONFIG\n" {
		t.Errorf("ls prints %q", out)
	}
	if out := ok(t, s, "", "kv", "status", "CONFIG"); !strings.Contains(out, "settings") {
		t.Errorf("status prints\n%s", out)
	}
	fails(t, s, 2, "--force", "kv", "rm", "CONFIG")
	ok(t, s, "", "kv", "rm", "CONFIG", "--force")
	fails(t, s, 1, "bucket not found", "kv", "info", "CONFIG")
}

func TestDeletedKeysAreRevertedAndCompacted(t *testing.T) {
	s := harness.Start(t, "")
	ok(t, s, "", "kv", "add", "B", "--history", "5")
	ok(t, s, "", "kv", "put", "B", "k", "first")
	ok(t, s, "", "kv", "put", "B", "k", "second")
	ok(t, s, "", "kv", "del", "B", "k")
	fails(t, s, 1, "key not found", "kv", "get", "B", "k")
	if out := ok(t, s, "", "kv", "history", "B", "k"); strings.Count(out, "put") != 2 || strings.Count(out, "del") != 1 {
		t.Errorf("history prints\n%s", out)
	}
	fails(t, s, 1, "does not keep revision 9", "kv", "revert", "B", "k", "9")
	fails(t, s, 1, "is a deletion", "kv", "revert", "B", "k", "3")
	if out := ok(t, s, "", "kv", "revert", "B", "k", "1"); out != "B k: revision 4\n" {
		t.Errorf("revert prints %q", out)
	}
	if out := ok(t, s, "", "kv", "get", "B", "k", "--raw"); out != "first" {
		t.Errorf("after revert the value is %q", out)
	}
	fails(t, s, 2, "--force", "kv", "purge", "B", "k")
	ok(t, s, "", "kv", "purge", "B", "k", "--force")
	if out := ok(t, s, "", "kv", "compact", "B", "--older-than", "1h"); !strings.Contains(out, "1 value before, 1 left") {
		t.Errorf("compact of young marks prints %q", out)
	}
	if out := ok(t, s, "", "kv", "compact", "B", "--all"); !strings.Contains(out, "1 value before, 0 left") {
		t.Errorf("compact prints %q", out)
	}
}

func TestChangesOfKeysAreWatched(t *testing.T) {
	s := harness.Start(t, "")
	ok(t, s, "", "kv", "add", "B", "--history", "3")
	ok(t, s, "", "kv", "put", "B", "x", "1")
	ok(t, s, "", "kv", "put", "B", "x", "2")
	if out := ok(t, s, "", "kv", "watch", "B", "--end", "--json"); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"value":"2"`) {
		t.Errorf("watch --end prints %q", out)
	}
	if out := ok(t, s, "", "kv", "watch", "B", "--end", "--history"); strings.Count(out, "\n") != 2 {
		t.Errorf("watch --history prints %q", out)
	}
	fails(t, s, 1, "0 of 1 change came", "kv", "watch", "B", "--updates", "--count", "1", "--wait", "50ms")
	ok(t, s, "", "kv", "put", "B", "y.1", "a")
	lines, wait := background(t, s, "kv", "watch", "B", "y.*", "--count", "3")
	got := []string{<-lines}
	ok(t, s, "", "kv", "put", "B", "other", "b")
	ok(t, s, "", "kv", "put", "B", "y.2", "c")
	ok(t, s, "", "kv", "del", "B", "y.2")
	for line := range lines {
		got = append(got, line)
	}
	if all := strings.Join(got, "\n"); wait() != 0 || len(got) != 3 || !strings.Contains(all, "y.1 #3  a") || !strings.Contains(all, "del   y.2 #6") {
		t.Errorf("watch prints %q", got)
	}
}

func TestObjectsAreStoredReadAndSealed(t *testing.T) {
	s := harness.Start(t, "")
	ok(t, s, "", "object", "add", "FILES", "--description", "some files")
	body := strings.Repeat("0123456789abcdef", 200_000) // 3.2 MB, in several pieces
	file := filepath.Join(t.TempDir(), "big.bin")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := ok(t, s, "", "object", "put", "FILES", file); !strings.Contains(out, "3.1 MiB in 25 pieces") {
		t.Errorf("put prints %q", out)
	}
	fails(t, s, 2, "--force", "object", "put", "FILES", file)
	ok(t, s, "", "object", "put", "FILES", file, "--force", "-H", "Content-Type:text/plain")
	ok(t, s, "piped", "object", "put", "FILES", "dir/piped", "-")
	fails(t, s, 2, "has no name", "object", "put", "FILES", "-")
	fails(t, s, 1, "is a directory", "object", "put", "FILES", t.TempDir())
	if out := ok(t, s, "", "object", "get", "FILES", "big.bin", "--output", "-"); out != body {
		t.Errorf("%d of %d bytes come back", len(out), len(body))
	}
	ok(t, s, "", "object", "get", "FILES", "dir/piped")
	if b, err := os.ReadFile(filepath.Join(s.Dir, "piped")); err != nil || string(b) != "piped" {
		t.Errorf("the file is %q, %v", b, err)
	}
	fails(t, s, 1, "exists", "object", "get", "FILES", "dir/piped")
	fails(t, s, 1, "weir object ls", "object", "get", "FILES", "none")
	if out := ok(t, s, "", "object", "ls", "FILES", "--names"); out != "big.bin\ndir/piped\n" {
		t.Errorf("ls prints %q", out)
	}
	if out := ok(t, s, "", "object", "ls", "FILES"); !strings.Contains(out, "2 objects") {
		t.Errorf("ls prints\n%s", out)
	}
	if out := ok(t, s, "", "object", "info", "FILES", "big.bin"); !strings.Contains(out, "3,200,000 bytes") || !strings.Contains(out, "SHA-256=") || !strings.Contains(out, "text/plain") {
		t.Errorf("info prints\n%s", out)
	}
	if out := ok(t, s, "", "object", "watch", "FILES", "--end"); strings.Count(out, "\n") != 2 {
		t.Errorf("watch prints %q", out)
	}
	fails(t, s, 2, "--force", "object", "rm", "FILES", "big.bin")
	ok(t, s, "", "object", "rm", "FILES", "big.bin", "--force")
	ok(t, s, "", "object", "seal", "FILES", "--force")
	fails(t, s, 1, "sealed", "object", "put", "FILES", file)
	var facts struct {
		Sealed bool
		Stream string
	}
	if err := json.Unmarshal([]byte(ok(t, s, "", "object", "info", "FILES", "--json")), &facts); err != nil || !facts.Sealed || facts.Stream != "OBJ_FILES" {
		t.Errorf("info gives %+v, %v", facts, err)
	}
	ok(t, s, "", "object", "rm", "FILES", "--force")
	if out := ok(t, s, "", "object", "ls", "--names"); out != "" {
		t.Errorf("ls prints %q", out)
	}
}

func TestReportsCompareAndSumUp(t *testing.T) {
	s := harness.Start(t, "")
	ok(t, s, "", "stream", "add", "SMALL", "small")
	ok(t, s, "", "stream", "add", "LARGE", "large")
	ok(t, s, "x\n", "pub", "--js", "small")
	ok(t, s, "1\n2\n3\n", "pub", "--js", "large")
	ok(t, s, "", "consumer", "add", "LARGE", "near")
	ok(t, s, "", "consumer", "add", "LARGE", "far")
	ok(t, s, "", "consumer", "next", "LARGE", "near", "--count", "2")
	out := ok(t, s, "", "stream", "report", "--sort", "messages")
	if !strings.Contains(out, "2 streams") || strings.Index(out, "LARGE") > strings.Index(out, "SMALL") {
		t.Errorf("stream report prints\n%s", out)
	}
	var r struct {
		Streams []struct{ Name string }
		Total   struct{ Streams, Messages, Consumers int }
	}
	if err := json.Unmarshal([]byte(ok(t, s, "", "stream", "report", "--sort", "messages", "--reverse", "--json")), &r); err != nil ||
		r.Total.Messages != 4 || r.Total.Consumers != 2 || r.Streams[0].Name != "SMALL" {
		t.Errorf("stream report gives %+v, %v", r, err)
	}
	var c struct {
		Consumers []struct {
			Name   string
			ToCome int `json:"to_come"`
		}
		Total struct {
			ToCome int `json:"to_come"`
		}
	}
	if err := json.Unmarshal([]byte(ok(t, s, "", "consumer", "report", "--sort", "to-come", "--json")), &c); err != nil ||
		len(c.Consumers) != 2 || c.Consumers[0].Name != "far" || c.Consumers[1].ToCome != 1 || c.Total.ToCome != 4 {
		t.Errorf("consumer report gives %+v, %v", c, err)
	}
	if out := ok(t, s, "", "consumer", "report", "LARGE"); !strings.Contains(out, "2 consumers") {
		t.Errorf("consumer report prints\n%s", out)
	}
	fails(t, s, 2, "--sort is bytes", "stream", "report", "--sort", "colour")
	fails(t, s, 2, "consumer add ORDERS billing", "consumer", "add")
	fails(t, s, 2, "'orders.>'", "stream", "add")
}
