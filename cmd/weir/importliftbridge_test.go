package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/wire/liftbridge/store"
)

// liftGolden writes the data directory that Liftbridge 1.9.0 left, and gives its name.
func liftGolden(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../internal/wire/liftbridge/store/testdata/liftbridge-1.9.0.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		b, rerr := io.ReadAll(in)
		if err := errors.Join(err, rerr); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			write(t, filepath.Join(dir, h.Name), b)
		}
	}
}

// liftRecord encodes a message as Liftbridge does.
func liftRecord(offset, at int64, value string) []byte {
	body := []byte{1, 0, 0xff, 0xff, 0xff, 0xff} // no key
	body = binary.BigEndian.AppendUint32(body, uint32(len(value)))
	body = append(body, value...)
	body = append(body, 0, 1, 0, 7)
	body = append(append(body, "subject"...), 0, 0, 0, 3)
	body = append(body, "a.b"...)
	out := binary.BigEndian.AppendUint64(nil, uint64(offset))
	out = binary.BigEndian.AppendUint64(out, uint64(at))
	out = binary.BigEndian.AppendUint64(out, 9)
	out = binary.BigEndian.AppendUint32(out, uint32(4+len(body)))
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, body...)
}

// liftOffsets reads a partition: offsets with their times, and what was torn.
func liftOffsets(dir string, skip func(damage) error) (string, bool, error) {
	p := &liftFiles{liftDir: &liftDir{dir: dir}, of: new(store.Stream)}
	p.of.Name, p.of.Subject = "s", "other"
	var got []string
	err := p.messages(skip, func(v *record.View) error {
		if string(v.Subject) != "a.b" {
			return fmt.Errorf("subject %s", v.Subject)
		}
		got = append(got, fmt.Sprintf("%d@%d", v.Seq-1, v.Time))
		return nil
	})
	return strings.Join(got, " "), len(p.remarks()) > 0, err
}

func TestSegmentsOfLiftbridgeAreReadInOrder(t *testing.T) {
	dir := t.TempDir()
	at := func(base int64) string {
		return filepath.Join(dir, "streams", "s", "0", fmt.Sprintf("%020d.log", base))
	}
	write(t, at(0), append(liftRecord(0, 10, "a"), liftRecord(3, 30, "b")...)) // compacted
	write(t, at(5), append(liftRecord(5, 20, "c"), liftRecord(6, 40, "")...))
	write(t, at(9), nil)
	write(t, at(5)+".cleaned", []byte("x"))
	write(t, filepath.Join(filepath.Dir(at(0)), "replication-offset-checkpoint"), []byte("6"))
	refuse := func(d damage) error { return d.err }
	if got, torn, err := liftOffsets(dir, refuse); err != nil || torn || got != "0@10 3@30 5@30 6@40" {
		t.Errorf("%s, %v, %v", got, torn, err)
	}
	p := &liftFiles{liftDir: &liftDir{dir: dir}, of: &store.Stream{}}
	p.of.Name = "s"
	if err := p.messages(refuse, func(*record.View) error { return nil }); err != nil || p.last() != 9 {
		t.Errorf("it ends at %d, %v", p.last(), err)
	}
}

// TestADamagedRecordOfLiftbridgeCostsItself damages three records in each way. What was
// just being written at the end of the log is no damage.
func TestADamagedRecordOfLiftbridgeCostsItself(t *testing.T) {
	one, two, three := liftRecord(0, 10, "a"), liftRecord(1, 20, strings.Repeat("b", 3000)), liftRecord(2, 30, "c")
	whole := bytes.Join([][]byte{one, two, three}, nil)
	for what, c := range map[string]struct {
		change func([]byte) []byte
		left   string
		torn   bool // and no damage
	}{
		"nothing":                         {func(b []byte) []byte { return b }, "0@10 1@20 2@30", false},
		"a bit of the second":             {func(b []byte) []byte { b[len(one)+100] ^= 1; return b }, "0@10 2@30", false},
		"the length of the second":        {func(b []byte) []byte { b[len(one)+26] ^= 1; return b }, "0@10 2@30", false},
		"the length, past the end":        {func(b []byte) []byte { b[len(one)+25] = 1; return b }, "0@10 2@30", false},
		"the offset of the second":        {func(b []byte) []byte { b[len(one)] = 0xff; return b }, "0@10 2@30", false},
		"a head of zeros":                 {func(b []byte) []byte { clear(b[len(one):][:28]); return b }, "0@10 2@30", false},
		"a repeated record":               {func(b []byte) []byte { return append(b, three...) }, "0@10 1@20 2@30", false},
		"a bit of the last":               {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, "0@10 1@20", false},
		"the end is not there":            {func(b []byte) []byte { return b[:len(b)-1] }, "0@10 1@20", true},
		"the end is not there, of a head": {func(b []byte) []byte { return append(b, liftRecord(3, 40, "d")[:20]...) }, "0@10 1@20 2@30", true},
		"zeros at the end":                {func(b []byte) []byte { return append(b, make([]byte, 5000)...) }, "0@10 1@20 2@30", true},
		"garbage at the end":              {func(b []byte) []byte { return append(b, bytes.Repeat([]byte{7}, 50)...) }, "0@10 1@20 2@30", false},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "streams", "s", "0", "00000000000000000000.log")
		write(t, file, c.change(bytes.Clone(whole)))
		n := 0
		got, torn, err := liftOffsets(dir, func(damage) error { n++; return nil })
		if err != nil || got != c.left || torn != c.torn || (n == 0) != (c.torn || what == "nothing") {
			t.Errorf("%s: %s, %d left out, torn %v, %v", what, got, n, torn, err)
		}
		_, _, err = liftOffsets(dir, func(d damage) error { return d.err })
		if errors.Is(err, store.ErrDamaged) != (n > 0) {
			t.Errorf("%s: %v", what, err)
		}
		if !c.torn {
			continue
		}
		// The same is damage where another file follows.
		write(t, filepath.Join(filepath.Dir(file), "00000000000000000009.log"), liftRecord(9, 90, "x"))
		if got, torn, err := liftOffsets(dir, func(damage) error { n++; return nil }); n == 0 || torn || err != nil || got != c.left+" 9@90" {
			t.Errorf("%s, and a file: %s, %d, %v, %v", what, got, n, torn, err)
		}
	}
}

// liftPlan is what a dry run says, by the streams' names in weir.
func liftPlan(t *testing.T, wantStatus int, dir string, args ...string) (map[string]importedPartition, string) {
	t.Helper()
	status, out, errs := command(t, "", append([]string{"import", "liftbridge", dir, "--dry-run", "--json"}, args...)...)
	if status != wantStatus {
		t.Fatalf("status %d, want %d: %s%s", status, wantStatus, out, errs)
	}
	all := map[string]importedPartition{}
	if out == "" {
		return all, errs
	}
	var list []importedPartition
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		all[p.Name] = p
	}
	return all, errs
}

func TestADryRunOfADirectoryOfLiftbridgeReadsEverything(t *testing.T) {
	dir := liftGolden(t)
	key := []string{"--encryption-key", "0123456789abcdef"}
	got, _ := liftPlan(t, 0, dir, key...)
	for name, want := range map[string]string{
		"events": "3 10 12 0", "later": "1 1 1 0", "orders:0": "3 1 3 1", "orders:1": "3 1 3 1", "paused": "1 1 1 0", "secret": "2 1 2 0",
	} {
		p := got[name]
		if text := fmt.Sprint(p.Messages, p.FirstSeq, p.LastSeq, p.Cursors); text != want || p.Error != "" {
			t.Errorf("%s: %s %s, want %s", name, text, p.Error, want)
		}
	}
	if len(got) != 6 || !strings.Contains(fmt.Sprint(got["events"].Notes), "read-only") || !strings.Contains(fmt.Sprint(got["paused"].Notes), "paused") {
		t.Errorf("%+v", got)
	}
	if got, _ := liftPlan(t, 1, dir); !strings.Contains(got["secret"].Error, "LIFTBRIDGE_ENCRYPTION_KEY") || got["orders:1"].Error != "" {
		t.Errorf("without the key: %+v", got)
	}
	if got, _ := liftPlan(t, 0, dir, "--stream", "orders"); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	if _, errs := liftPlan(t, 1, dir, "--stream", "gone"); !strings.Contains(errs, "no stream gone") {
		t.Error(errs)
	}
	file := filepath.Join(dir, "streams", "orders", "1", "00000000000000000000.log")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[60] ^= 1
	write(t, file, b)
	if got, _ := liftPlan(t, 1, dir, key...); !strings.Contains(got["orders:1"].Error, "00000000000000000000.log at ") || got["orders:0"].Error != "" {
		t.Errorf("damage: %+v", got)
	}
	if got, _ := liftPlan(t, 0, dir, append(key, "--skip-damaged")...); got["orders:1"].Messages != 2 || len(got["orders:1"].Notes) != 1 {
		t.Errorf("without damage: %+v", got)
	}
	// A directory of a stream that the server had deleted, and a partition that it had not.
	write(t, filepath.Join(dir, "streams", "gone", "0", "00000000000000000000.log"), nil)
	if got, errs := liftPlan(t, 0, dir, append(key, "--skip-damaged")...); len(got) != 6 || !strings.Contains(errs, "stream gone is left out") {
		t.Errorf("%s %+v", errs, got)
	}
	cursors := filepath.Join(dir, "streams", "__cursors", "0", "00000000000000000000.log")
	if b, err = os.ReadFile(cursors); err != nil {
		t.Fatal(err)
	}
	b[40] ^= 1
	write(t, cursors, b)
	if _, errs := liftPlan(t, 1, dir, key...); !strings.Contains(errs, "read the cursors: ") || !strings.Contains(errs, "--skip-damaged") {
		t.Error(errs)
	}
	if err := os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if got, errs := liftPlan(t, 1, dir, append(key, "--skip-damaged")...); got["orders:1"].Error == "" || !strings.Contains(errs, "a damaged cursor") {
		t.Errorf("%s %+v", errs, got)
	}
}

// TestStreamsAreGuessedWhereTheRaftLogIsDamaged has a snapshot, then a log, that cannot be
// read.
func TestStreamsAreGuessedWhereTheRaftLogIsDamaged(t *testing.T) {
	dir := liftGolden(t)
	state, err := filepath.Glob(filepath.Join(dir, "raft", "snapshots", "*", "state.bin"))
	if err != nil || len(state) != 1 {
		t.Fatal(state, err)
	}
	for _, file := range []string{state[0], filepath.Join(dir, "raft", "raft.db")} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, append([]byte{^b[0]}, b[1:600]...))
		if _, errs := liftPlan(t, 0, dir); !strings.Contains(errs, "the Raft log cannot be read") {
			t.Error(errs)
		}
		if err := os.RemoveAll(filepath.Dir(state[0])); err != nil {
			t.Fatal(err)
		}
	}
	d := &liftDir{dir: dir}
	for subjects, want := range map[string]string{"orders=in.x": "in.x", "other=in.x": "orders"} {
		if s, err := d.guess("orders", []string{subjects}); err != nil || s.Subject != want || s.Partitions != 2 {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func TestAnImportFromLiftbridgeSaysWhatItNeedsToKnow(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{
		"":                                   "say where from",
		dir:                                  "has no directory streams",
		dir + " --from x:1":                  "say where from",
		dir + " --subject x":                 "not STREAM=SUBJECT",
		dir + " --cursor x":                  "for a running server",
		dir + " --from-user x":               "for a running server",
		dir + " --keep":                      "for a running server",
		dir + " --max-age -1s":               "not negative",
		dir + " --encryption-key x":          "instead of 16 or 32",
		"--from x:1 --skip-damaged":          "for a directory",
		"--from x:1 --from-cert c":           "belong together",
		"--from nats://x:1":                  "is no address",
		"--from x:1 --from-ca /no/such":      "read --from-ca",
		"--from 127.0.0.1:1 --timeout 100ms": "ask 127.0.0.1:1 for its streams",
	} {
		status, _, errs := command(t, "", append([]string{"import", "liftbridge"}, strings.Fields(line)...)...)
		if status == 0 || !strings.Contains(errs, want) {
			t.Errorf("%q: %d, %s", line, status, errs)
		}
	}
}
