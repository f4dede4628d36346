package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// oldFiles writes the store that nats-streaming-server 0.25.6 left, and gives its
// directory.
func oldFiles(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../internal/wire/stan/testdata/store.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		data, err := base64.StdEncoding.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, f[0]), data)
	}
	return dir
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// oldSlice encodes messages as the old server does.
func oldSlice(msgs ...wire.Msg) []byte {
	out := []byte{1, 0, 0, 0}
	for _, m := range msgs {
		p := m.Append(nil)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(p)))
		out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(p))
		out = append(out, p...)
	}
	return out
}

func oldMsg(seq uint64, at int64) wire.Msg {
	return wire.Msg{Sequence: seq, Subject: []byte("c"), Data: fmt.Append(nil, seq), Timestamp: at}
}

func sequencesIn(s *oldStore, channel string, skip func(damage) error) (string, error) {
	var got []string
	err := s.messages(channel, skip, func(v *record.View) error {
		got = append(got, fmt.Sprintf("%d@%d", v.Seq, v.Time))
		return nil
	})
	return strings.Join(got, " "), err
}

func TestSlicesOfTheOldStoreAreReadInOrder(t *testing.T) {
	dir := oldFiles(t)
	for n, msgs := range map[int][]wire.Msg{2: {oldMsg(3, 30), oldMsg(4, 5)}, 10: {oldMsg(7, 70)}, 1: {oldMsg(1, 10), oldMsg(2, 20)}} {
		write(t, filepath.Join(dir, "c", fmt.Sprintf("msgs.%d.dat", n)), oldSlice(msgs...))
	}
	write(t, filepath.Join(dir, "c", "msgs.0.dat.bak"), []byte("x"))
	s, err := openOldStore(dir)
	if err != nil || s.cluster != "tc" || fmt.Sprint(s.channels) != "[c foo]" {
		t.Fatalf("%+v, %v", s, err)
	}
	none := func(d damage) error { return fmt.Errorf("%s", d) }
	if got, err := sequencesIn(s, "c", none); err != nil || got != "1@10 2@20 3@30 4@30 7@70" {
		t.Errorf("%s, %v", got, err)
	}
	if all, passing, err := s.durables("c", none); err != nil || len(all)+passing != 0 {
		t.Errorf("%v, %v", all, err)
	}
	all, passing, err := s.durables("foo", none)
	if err != nil || len(all) != 2 || passing != 0 {
		t.Fatalf("%+v, %d, %v", all, passing, err)
	}
	if q := all[0]; q.Client != "c1" || q.Durable != "dur" || q.LastSent != 6 || len(q.Pending) != 0 {
		t.Errorf("%+v", q)
	}
	if q := all[1]; q.Durable != "qd" || q.Queue != "q" || q.LastSent != 5 {
		t.Errorf("%+v", q)
	}
	if _, err := s.chosen([]string{"foo", "bar"}); err == nil {
		t.Error("a channel that is not there is chosen")
	}
}

func TestDamagedRecordsAreNamedAndLeftOutOnlyIfWanted(t *testing.T) {
	dir := oldFiles(t)
	whole := oldSlice(oldMsg(1, 10), oldMsg(2, 20), oldMsg(3, 30))
	file := filepath.Join(dir, "c", "msgs.1.dat")
	for what, c := range map[string]struct {
		change func([]byte) []byte
		left   string
	}{
		"a bit of the second": {func(b []byte) []byte { b[len(b)/2+4] ^= 1; return b }, "1@10 3@30"},
		"the end":             {func(b []byte) []byte { return b[:len(b)-1] }, "1@10 2@20"},
		"the end of a head":   {func(b []byte) []byte { return append(b, 1, 2, 3) }, "1@10 2@20 3@30"},
		"a size":              {func(b []byte) []byte { b[7] = 0xff; return b }, ""},
		"the version":         {func(b []byte) []byte { b[0] = 9; return b }, ""},
		"everything":          {func([]byte) []byte { return nil }, ""},
		"a repeated record":   {func(b []byte) []byte { return append(b, b[4:]...) }, "1@10 2@20 3@30"},
	} {
		write(t, file, c.change(append([]byte(nil), whole...)))
		s, err := openOldStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sequencesIn(s, "c", func(d damage) error { return d.err }); !errors.Is(err, wire.ErrStored) {
			t.Errorf("%s: %v", what, err)
		}
		n := 0
		if got, err := sequencesIn(s, "c", func(damage) error { n++; return nil }); err != nil || got != c.left || n == 0 {
			t.Errorf("%s: %q, %d left out, %v; want %q", what, got, n, err, c.left)
		}
	}
	// Space that was reserved behind the last record is none.
	write(t, file, append(whole, make([]byte, 100)...))
	s, err := openOldStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sequencesIn(s, "c", func(d damage) error { return d.err }); err != nil || got != "1@10 2@20 3@30" {
		t.Errorf("%q, %v", got, err)
	}
	write(t, filepath.Join(dir, "server.dat"), []byte{1, 0, 0, 0, 1})
	if _, err := openOldStore(dir); !errors.Is(err, wire.ErrStored) {
		t.Error(err)
	}
	if _, err := openOldStore(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file store") {
		t.Error(err)
	}
}

// TestEncryptedDataIsDecrypted has data that nats-streaming-server 0.25.6 encrypted with
// AES, and some of the other kind.
func TestEncryptedDataIsDecrypted(t *testing.T) {
	old, err := hex.DecodeString("011e83f0a900000000000000014e32be92691919a31139ae4d30b8ed94847a7e06a581e8f67214f8")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newOldCipher("mykey", "foo.bar")
	if err != nil {
		t.Fatal(err)
	}
	sealed := c.by[oldChaCha].Seal(append([]byte{oldChaCha}, make([]byte, 12)...), make([]byte, 12), []byte("other"), nil)
	for want, data := range map[string][]byte{"hello world": old, "other": sealed, "plain": []byte("plain"), "": nil, "\x01short": []byte("\x01short")} {
		if got, err := c.open(append([]byte(nil), data...)); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if c, err = newOldCipher("another", "foo.bar"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.open(append([]byte(nil), old...)); !errors.Is(err, wire.ErrStored) {
		t.Errorf("with another key: %v", err)
	}
	if c, err = newOldCipher("", "foo.bar"); c != nil || err != nil {
		t.Error(c, err)
	}
	if got, err := c.open(old); err != nil || len(got) != len(old) {
		t.Errorf("without a key: %q, %v", got, err)
	}
}

func TestADryRunOfAnImportReadsEverything(t *testing.T) {
	dir := oldFiles(t)
	status, out, errs := command(t, "", "import", "stan", dir, "--dry-run", "--json")
	if status != 0 || !strings.Contains(out, `"last_seq": 6`) || !strings.Contains(out, "dur of client c1") {
		t.Errorf("%d, %s, %s", status, out, errs)
	}
	file := filepath.Join(dir, "foo", "msgs.1.dat")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[20] ^= 1
	write(t, file, b)
	status, _, errs = command(t, "", "import", "stan", dir, "--dry-run")
	if status != 1 || !strings.Contains(errs, "msgs.1.dat at 4") || !strings.Contains(errs, "--skip-damaged") {
		t.Errorf("%d, %s", status, errs)
	}
	status, out, errs = command(t, "", "import", "stan", dir, "--dry-run", "--skip-damaged")
	if status != 0 || !strings.Contains(out, "left out, damaged") {
		t.Errorf("%d, %s, %s", status, out, errs)
	}
}

func TestAnImportSaysWhatItNeedsToKnow(t *testing.T) {
	for line, want := range map[string]string{
		"":                                "say where from",
		"dir --from nats://x:1":           "say where from",
		"--from nats://x:1":               "--monitor says where",
		"--from nats://x:1 --channel c":   "--from-cluster names it",
		"--from nats://x:1 --monitor x":   "is no address",
		"--from nats://x:1 --from-cert c": "belong together",
		"--from nats://x:1 --monitor http://127.0.0.1:1 --timeout 1s": "ask the monitoring",
	} {
		status, _, errs := command(t, "", append([]string{"import", "stan"}, strings.Fields(line)...)...)
		if status == 0 || !strings.Contains(errs, want) {
			t.Errorf("%q: %d, %s", line, status, errs)
		}
	}
}

// TestDurablesAreReadFromTheMonitoring has plain durables, members of a group, one that
// is in use, and a subscription that is none.
func TestDurablesAreReadFromTheMonitoring(t *testing.T) {
	z := &oldChannelz{Name: "c", Subs: []oldSubz{
		{Client: "a", Durable: "d", IsDurable: true, IsOffline: true, LastSent: 5, Pending: 2, MaxInFlight: 7, AckWait: 9},
		{Client: "a", Queue: "qd:q", IsDurable: true, LastSent: 4},
		{Client: "b", Queue: "qd:q", IsDurable: true, LastSent: 4},
		{Client: "b", Queue: "plain"},
	}}
	all, other, used := durablesOf(z)
	if len(all) != 2 || other != 1 || len(used) != 1 || used[0] != "qd of the queue group q" {
		t.Fatalf("%v, %d, %v", all, other, used)
	}
	if q := all[0]; q.Client != "a" || q.Durable != "d" || q.LastSent != 5 || q.pending != 2 || q.MaxInFlight != 7 || q.AckWait != 9 {
		t.Errorf("%+v", q)
	}
	if q := all[1]; q.Durable != "qd" || q.Queue != "q" || q.LastSent != 4 {
		t.Errorf("%+v", q)
	}
}
