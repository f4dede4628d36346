package check

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

func yes(*Report) error { return nil }

// mend repairs a disk, and says that nothing but what is quarantined is left.
func mend(t *testing.T, disk *faultfs.FS) (*Repaired, error) {
	t.Helper()
	r, err := Repair(context.Background(), Options{FS: disk, Dir: dir}, yes)
	if err != nil {
		return r, err
	}
	if !r.After.Clean() {
		return r, fmt.Errorf("after the repair there is %+v, not checked %v", r.After.Damage, r.After.Unchecked)
	}
	return r, nil
}

// lost says whether a repair gave a record up.
func (r *Repaired) gaveUp(stream string, seq uint64) bool {
	for _, d := range slices.Concat(r.Quarantined, r.Lost) {
		if d.Stream == stream && d.First <= seq && seq <= d.Last {
			return true
		}
	}
	return false
}

// holds says what of the records 1 to n is not as it was, and was not given up.
// lost counts those that are not there.
func (n *node) holds(r *Repaired, count int) (lost int, err error) {
	for _, name := range []string{"ORDERS", "LOGS"} {
		for i := 1; i <= count; i++ {
			m := n.ask("$JS.API.STREAM.MSG.GET."+name, fmt.Sprintf(`{"seq":%d}`, i))
			if m["error"] != nil {
				lost++
				if !r.gaveUp(name, uint64(i)) {
					return lost, fmt.Errorf("%s %d: %v", name, i, m["error"])
				}
				continue
			}
			msg := m["message"].(map[string]any)
			data, err := base64.StdEncoding.DecodeString(msg["data"].(string))
			if err != nil || string(data) != payload(name, i) {
				return lost, fmt.Errorf("%s %d is %q, %v", name, i, data, err)
			}
		}
	}
	return lost, nil
}

// After the repair of whatever bit was changed a server starts, everything that
// was not damaged is there, and it takes more.
func TestARepairedDirectoryHasAllThatWasNotDamaged(t *testing.T) {
	const seed = 11
	each := flips(8)
	r := rand.New(rand.NewPCG(seed, 2))
	for state, base := range map[string]*faultfs.FS{"stopped": stopped(t), "killed": killed(t)} {
		count := records
		if state == "killed" {
			count *= 2
		}
		all := covered(t, base)
		for _, kind := range slices.Sorted(maps.Keys(all)) {
			for range each {
				at := all[kind][r.IntN(len(all[kind]))]
				mask := byte(1) << r.IntN(8)
				disk := base.CrashClone(faultfs.KeepAll, 0)
				must(t, disk.Corrupt(at.file, at.off, mask))
				if err := mendAndUse(t, disk, count); err != nil {
					t.Fatalf("seed %d, %s: %s at %d, bits %#x: %v", seed, state, at.file, at.off, mask, err)
				}
			}
		}
	}
}

func mendAndUse(t *testing.T, disk *faultfs.FS, count int) error {
	t.Helper()
	if rep := look1(t, disk); len(rep.Unchecked) > 0 {
		return nil // a version that is not known is left alone
	}
	r, err := mend(t, disk)
	if err != nil {
		return err
	}
	n := start(t, disk)
	lost, err := n.holds(r, count)
	if err == nil {
		if a := n.ask("orders.1", "more"); a["seq"] != float64(count+1) {
			err = fmt.Errorf("publish after the repair: %v", a)
		}
	}
	if err == nil && lost > 8 {
		err = fmt.Errorf("one bit costs %d records: quarantined %+v, lost %+v", lost, r.Quarantined, r.Lost)
	}
	n.stop()
	if err != nil {
		return err
	}
	if rep := look1(t, disk); !rep.Clean() {
		return fmt.Errorf("after the server ran there is %+v", rep.Damage)
	}
	return nil
}

func TestARepairAsksAndKeepsTheOriginals(t *testing.T) {
	disk := stopped(t)
	name := "data/streams/16-1/1.seg"
	must(t, disk.Corrupt(name, 3, 1))
	bad, err := vfs.ReadFile(disk, name)
	must(t, err)
	before := tree(t, disk, dir)
	no := errors.New("no")
	if _, err := Repair(context.Background(), Options{FS: disk, Dir: dir}, func(*Report) error { return no }); !errors.Is(err, no) {
		t.Fatal(err)
	}
	if after := tree(t, disk, dir); !maps.Equal(before, after) {
		t.Fatal("something was changed without an answer")
	}
	r, err := mend(t, disk)
	must(t, err)
	if !strings.HasPrefix(r.Originals, originals) || len(r.Rebuilt) != 1 || len(r.Quarantined)+len(r.Lost) != 0 {
		t.Fatalf("%+v", r)
	}
	kept, err := vfs.ReadFile(disk, path.Join(dir, r.Originals, "streams/16-1/1.seg"))
	if err != nil || string(kept) != string(bad) {
		t.Fatalf("the original: %d bytes, %v", len(kept), err)
	}
	again, err := Repair(context.Background(), Options{FS: disk, Dir: dir}, func(*Report) error { return no })
	if err != nil || again.Originals != "" {
		t.Fatalf("a repair where nothing is damaged: %+v, %v", again, err)
	}
}

func TestWhatIsQuarantinedIsSaidAndNothingElse(t *testing.T) {
	disk := stopped(t)
	b, err := vfs.ReadFile(disk, "data/streams/16-1/1.seg")
	must(t, err)
	at := int64(strings.Index(string(b), payload("ORDERS", 7)))
	must(t, disk.Corrupt("data/streams/16-1/1.seg", at, 1))
	r, err := mend(t, disk)
	must(t, err)
	if len(r.Quarantined) != 1 || r.Quarantined[0].First != 7 || r.Quarantined[0].Last != 7 || r.Quarantined[0].Stream != "ORDERS" {
		t.Fatalf("%+v", r)
	}
	rep := look1(t, disk)
	if len(rep.Damage) != 1 || !rep.Damage[0].Quarantined || !rep.Clean() {
		t.Fatalf("%+v", rep)
	}
	must(t, disk.Corrupt("data/streams/16-1/1.seg", at+200, 1))
	if rep := look1(t, disk); rep.Open() != 1 || len(rep.Damage) != 2 {
		t.Fatalf("with another change: %+v", rep)
	}
}

// find is where a text lies in a file.
func find(t *testing.T, disk *faultfs.FS, file, text string) int64 {
	t.Helper()
	b, err := vfs.ReadFile(disk, file)
	must(t, err)
	i := strings.Index(string(b), text)
	if i < 0 {
		t.Fatalf("%q is not in %s", text, file)
	}
	return int64(i)
}

// journalWith is the journal's file that holds a text.
func journalWith(t *testing.T, disk *faultfs.FS, text string) string {
	t.Helper()
	for file := range tree(t, disk, "data/journal") {
		b, err := vfs.ReadFile(disk, file)
		must(t, err)
		if strings.Contains(string(b), text) {
			return file
		}
	}
	t.Fatalf("%q is in no file of the journal", text)
	return ""
}

// A record that only the journal had, in a damaged batch, is lost alone, and named.
func TestWhatOnlyTheJournalHadIsListedAsLost(t *testing.T) {
	const seq = records + 11
	disk := killed(t)
	text := payload("LOGS", seq)
	file := journalWith(t, disk, text)
	must(t, disk.Corrupt(file, find(t, disk, file, text), 1))
	before := look1(t, disk)
	named := slices.ContainsFunc(before.Damage, func(d Damage) bool {
		return d.Kind == KindJournal && d.Stream == "LOGS" && d.First == seq && d.Last == seq && d.Offset > 0
	})
	if !named {
		t.Fatalf("the check says %+v", before.Damage)
	}
	r, err := mend(t, disk)
	must(t, err)
	if len(r.Lost) != 1 || r.Lost[0].Stream != "LOGS" || r.Lost[0].First != seq || r.Lost[0].Last != seq {
		t.Fatalf("lost %+v", r.Lost)
	}
	n := start(t, disk)
	lost, err := n.holds(r, 2*records)
	if err != nil || lost != 1 {
		t.Errorf("%d are lost, %v", lost, err)
	}
	if a := n.ask("logs.1", "more"); a["seq"] != float64(2*records+1) {
		t.Errorf("publish after the repair: %v", a)
	}
	n.stop()
	if rep := look1(t, disk); !rep.Clean() || len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], fmt.Sprintf("stream LOGS, sequence %d", seq)) {
		t.Errorf("%+v", rep)
	}
}

// Files that are cut or missing cost what they held, not the directory.
func TestARepairBringsADirectoryBackOfWhichFilesAreGone(t *testing.T) {
	base := stopped(t)
	for file, size := range tree(t, base, dir) {
		kind := kindOf(file)
		if kind == "" || kind == KindJournal {
			continue
		}
		for i, keep := range []int64{-1, size / 2, 0, size - 1} {
			if i >= flips(4) {
				break
			}
			disk := base.CrashClone(faultfs.KeepAll, 0)
			if keep < 0 {
				must(t, disk.Remove(file))
			} else {
				f, err := disk.OpenWrite(file)
				must(t, err)
				must(t, f.Truncate(keep))
				must(t, f.Close())
			}
			r, err := mend(t, disk)
			if err != nil {
				t.Fatalf("%s of %d bytes cut to %d: %v", file, size, keep, err)
			}
			n := start(t, disk)
			if _, err := n.holds(r, records); err != nil {
				t.Errorf("%s of %d bytes cut to %d: %v", file, size, keep, err)
			}
			n.stop()
			if rep := look1(t, disk); !rep.Clean() {
				t.Errorf("%s of %d bytes cut to %d, after all: %+v", file, size, keep, rep)
			}
		}
	}
}

// A repair that ends anywhere, with the power gone, can be begun again.
func TestARepairCanBeCutShortAnywhere(t *testing.T) {
	base := killed(t)
	text := payload("ORDERS", records+3)
	file := journalWith(t, base, text)
	must(t, base.Corrupt(file, find(t, base, file, text), 1))
	must(t, base.Corrupt("data/streams/17-1/manifest", 40, 1))
	must(t, base.Corrupt("data/streams/16-1/1.seg", 20, 1))
	must(t, base.Corrupt("data/catalog", 20, 1))
	whole := base.CrashClone(faultfs.KeepAll, 0)
	first := whole.Ops()
	_, err := mend(t, whole)
	must(t, err)
	ops := whole.Ops() - first
	step := ops/uint64(flips(23)) + 1
	for at := uint64(1); at < ops; at += step {
		disk := base.CrashClone(faultfs.KeepAll, 0)
		disk.StopAfter(disk.Ops() + at)
		if _, err := Repair(context.Background(), Options{FS: disk, Dir: dir}, yes); err == nil {
			t.Fatalf("a disk that stops at %d of %d operations is repaired", at, ops)
		}
		disk = disk.CrashClone(faultfs.DropUnsynced, at)
		if _, err := mend(t, disk); err != nil {
			t.Fatalf("stopped at %d of %d operations: %v", at, ops, err)
		}
		n := start(t, disk)
		lost := 0
		for _, name := range []string{"ORDERS", "LOGS"} {
			for i := 1; i <= 2*records; i++ {
				if m := n.ask("$JS.API.STREAM.MSG.GET."+name, fmt.Sprintf(`{"seq":%d}`, i)); m["error"] != nil {
					lost++
				}
			}
		}
		n.stop()
		if lost != 1 {
			t.Fatalf("stopped at %d of %d operations: %d records are lost", at, ops, lost)
		}
	}
}
