package check

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// inExtent is where a message lies that the journal names in an extent.
type inExtent struct {
	file string
	off  int64
	seq  uint64
	last int // the last message's sequence
}

// killedWithExtents is the disk of a server that was killed with large messages in
// extents, and where one of them is, which later ones prove to be durable.
func killedWithExtents(t *testing.T) (*faultfs.FS, inExtent) {
	t.Helper()
	live := faultfs.New()
	live.SetCapacity(256 << 20) // so that a file of the journal, of 16 MiB, names enough of them
	n := start(t, live)
	n.request("$JS.API.STREAM.CREATE.L", `{"name":"L","subjects":["l"]}`)
	var disk *faultfs.FS
	var places [][]byte
	last := 0
	for deadline := time.Now().Add(20 * time.Second); len(places) < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages are in extents", len(places), last)
		}
		for range 6 {
			n.request("l", payload("L", last)+strings.Repeat("y", 600<<10))
			last++
		}
		disk = live.CrashClone(faultfs.KeepAll, 0)
		places = placesOf(t, disk)
	}
	n.stop()
	streams, err := disk.List(path.Join(dir, "streams"))
	must(t, err)
	p := places[len(places)-2]
	return disk, inExtent{
		file: fmt.Sprintf("%s/streams/%s/%d.seg", dir, streams[0], binary.LittleEndian.Uint64(p)),
		off:  int64(binary.LittleEndian.Uint64(p[8:])), seq: binary.LittleEndian.Uint64(p[24:]), last: last,
	}
}

// placesOf gives the places in extents that the journal names.
func placesOf(t *testing.T, disk *faultfs.FS) (places [][]byte) {
	t.Helper()
	id, _, err := journal.AgreedIdentity(disk, path.Join(dir, "journal"))
	must(t, err)
	_, err = journal.Check(journal.Options{
		FS: disk, Dir: path.Join(dir, "journal"), Identity: id,
		Fetch: func(e journal.Entry) ([]byte, error) { places = append(places, bytes.Clone(e.Data)); return nil, nil },
	}, func(journal.Entry) error { return nil })
	must(t, err)
	return places
}

func TestExtentsOfAKilledServerAreNoDamage(t *testing.T) {
	disk, x := killedWithExtents(t)
	if r := look1(t, disk); len(r.Damage) != 0 {
		t.Fatalf("%+v", r.Damage)
	}
	n := start(t, disk)
	if a := n.request("l", "more"); a["seq"] != float64(x.last+1) {
		t.Errorf("%v", a)
	}
	n.stop()
	if r := look1(t, disk); !r.Clean() {
		t.Errorf("%+v", r)
	}
}

func TestADamagedExtentIsFoundAndCostsItsMessage(t *testing.T) {
	disk, x := killedWithExtents(t)
	must(t, disk.Corrupt(x.file, x.off+1000, 1))
	costs(t, disk, x)
}

func TestAMissingExtentIsFound(t *testing.T) {
	disk, x := killedWithExtents(t)
	must(t, disk.Remove(x.file))
	r := look1(t, disk)
	if !slices.ContainsFunc(r.Damage, func(d Damage) bool { return strings.HasSuffix(x.file, d.File) && d.Stream == "L" }) {
		t.Fatalf("the check says %+v", r.Damage)
	}
	if _, err := disk.Stat(x.file); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	_, err := mend(t, disk)
	must(t, err)
	n := start(t, disk)
	n.request("l", "more")
	n.stop()
}

// costs says that the check finds one message lost, and that a repair makes a
// directory that a server opens.
func costs(t *testing.T, disk *faultfs.FS, x inExtent) {
	t.Helper()
	seq := x.seq
	r := look1(t, disk)
	if !slices.ContainsFunc(r.Damage, func(d Damage) bool { return d.Stream == "L" && d.First == seq && d.Last == seq }) {
		t.Fatalf("the check says %+v", r.Damage)
	}
	done, err := mend(t, disk)
	must(t, err)
	if len(done.Lost) != 1 || done.Lost[0].First != seq || done.Lost[0].Last != seq {
		t.Fatalf("lost %+v", done.Lost)
	}
	n := start(t, disk)
	if a := n.request("l", "more"); a["seq"] != float64(x.last+1) {
		t.Errorf("publish after the repair: %v", a)
	}
	n.stop()
}
