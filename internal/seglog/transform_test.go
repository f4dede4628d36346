package seglog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// marked is a frame of n records with a text that compresses well.
func marked(base uint64, n int) *record.Frame {
	var a record.Area
	for range n {
		a.Append(&record.Parts{Subject: []byte("marker.subject"), Data: bytes.Repeat([]byte("marker data "), 20)})
	}
	return record.Seal(record.Header{Partition: testID, Term: 1, Base: base, Time: int64(base)}, a.Buf, a.Slots)
}

// contents gives all files of a log.
func contents(t *testing.T, disk *faultfs.FS, l *Log) map[string]string {
	t.Helper()
	names, err := disk.List(l.dir)
	must(t, err)
	all := map[string]string{}
	for _, name := range names {
		f, err := disk.OpenRead(l.path(name))
		must(t, err)
		size, err := f.Size()
		must(t, err)
		b := make([]byte, size)
		if n, err := f.ReadAt(b, 0); n < len(b) {
			t.Fatal(err)
		}
		must(t, f.Close())
		all[name] = string(b)
	}
	return all
}

func TestNothingOfAMessageIsReadableInEncryptedFiles(t *testing.T) {
	eachWay(t, func(t *testing.T, how way) {
		disk := newDisk(t)
		o := small(disk)
		how.set(&o)
		l := openLog(t, openVolume(t, o), testID)
		for i := range uint64(100) {
			l.Append(marked(i*5+1, 5))
			if i%10 == 0 {
				must(t, l.Flush())
			}
		}
		must(t, l.Checkpoint([]byte("the state with marker.subject")))
		shown := 0
		for _, b := range contents(t, disk, l) {
			if strings.Contains(b, "marker") {
				shown++
			}
		}
		if how.encrypt != (shown == 0) {
			t.Fatalf("%d files show what was stored", shown)
		}
		must(t, l.Close())
		l = openLog(t, l.v, testID)
		expect(t, l, 1, 500)
		if got := string(l.State()); got != "the state with marker.subject" {
			t.Fatalf("state %q", got)
		}
	})
}

func TestCompressedSegmentsAreSmaller(t *testing.T) {
	sizes := map[atrest.Compression]int64{}
	for _, c := range []atrest.Compression{atrest.None, atrest.S2, atrest.Zstd} {
		disk := newDisk(t)
		o := small(disk)
		o.SegmentBytes, o.FlushBytes = 4<<20, 4<<20
		l := openLog(t, openVolume(t, o), testID)
		l.SetCompression(c)
		for i := range uint64(400) {
			l.Append(marked(i*10+1, 10))
		}
		must(t, l.Checkpoint(nil))
		for _, s := range l.segments {
			sizes[c] += s.end()
		}
		if c == atrest.None && l.segments[0].layout != layoutFrames {
			t.Fatal("a log without transforms has blocks")
		}
	}
	if sizes[atrest.S2] > sizes[atrest.None]/4 || sizes[atrest.Zstd] > sizes[atrest.None]/4 {
		t.Fatalf("sizes %v", sizes)
	}
}

func TestBlocksHaveTheirSizes(t *testing.T) {
	o := small(newDisk(t))
	o.SegmentBytes, o.FlushBytes, o.Compression = 32<<20, 4<<20, atrest.S2
	l := openLog(t, openVolume(t, o), testID)
	for i := range uint64(400) {
		l.Append(marked(i*50+1, 50))
	}
	big, _ := logtest.Dense(testID, 400*50+1, 1, 1, 900_000)
	l.Append(big)
	must(t, l.Checkpoint(nil))
	inBlocks := 0
	for _, s := range l.segments {
		h, err := l.v.files.acquire(l, s)
		must(t, err)
		table, err := l.table(h, s)
		must(t, err)
		l.v.files.release(h)
		for i, e := range table {
			end := s.length
			if i+1 < len(table) {
				end = table[i+1].off
			}
			if size := end - e.off; size > atrest.MaxBlock || size < 64<<10 && i+1 < len(table) {
				t.Errorf("segment %d: block %d of %d has %d bytes", s.no, i, len(table), size)
			}
			inBlocks++
		}
	}
	if inBlocks < 20 {
		t.Fatalf("%d blocks", inBlocks)
	}
}

func TestReadingBlocksDoesNotAllocateForEachRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	eachWay(t, func(t *testing.T, how way) {
		o := VolumeOptions{FS: vfs.OS{}, Dir: t.TempDir(), TailCache: -1, Log: quiet}
		how.set(&o)
		l := openLog(t, openVolume(t, o), testID)
		for base := uint64(1); base < 30_000; base += 100 {
			f, _ := logtest.Dense(testID, base, int64(base), 100, 128)
			l.Append(f)
		}
		must(t, l.Checkpoint(nil))
		c := l.Cursor(1)
		defer c.Close()
		for range 5_000 { // read-ahead has its block by now
			_, _ = c.Next()
		}
		if n := testing.AllocsPerRun(20_000, func() {
			if _, err := c.Next(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations a record", n)
		}
	})
}

// built is an encrypted log with sealed segments of several blocks, closed.
func built(t *testing.T, how way) (*faultfs.FS, *Log) {
	t.Helper()
	disk := newDisk(t)
	o := small(disk)
	o.TailCache = -1
	how.set(&o)
	l := openLog(t, openVolume(t, o), testID)
	for base := uint64(1); base <= 600; base += 50 {
		appendDense(l, base, 50, 200)
		must(t, l.Flush())
	}
	must(t, l.Checkpoint([]byte("state")))
	must(t, l.Close())
	return disk, l
}

func TestADamagedBlockCostsItsOwnSequencesAndIsNamed(t *testing.T) {
	for _, how := range ways[2:] {
		t.Run(how.name, func(t *testing.T) {
			disk, l := built(t, how)
			l = openLog(t, l.v, testID)
			seg := l.segments[1]
			h, err := l.v.files.acquire(l, seg)
			must(t, err)
			table, err := l.table(h, seg)
			must(t, err)
			l.v.files.release(h)
			if len(table) < 3 {
				t.Fatalf("%d blocks", len(table))
			}
			name := l.path(segmentName(seg.no))
			for _, at := range []int64{table[1].at + 5, table[1].at + 70} { // head, body
				for _, lostTable := range []bool{false, true} {
					must(t, disk.Corrupt(name, at, 1))
					if lostTable {
						must(t, disk.Corrupt(name, seg.end()+seg.footer-1, 1))
					}
					l.v.files.forgetAll()
					lost := readAround(t, l, 600)
					if lost.File != name || lost.Offset != table[1].at || lost.First <= seg.base || lost.Last >= seg.last || lost.Last-lost.First >= 50 {
						t.Errorf("byte %d: %v; block at %d of %d to %d", at, lost, table[1].at, seg.base, seg.last)
					}
					if !errors.Is(&lost, record.ErrDamaged) || !errors.Is(&lost, atrest.ErrDamaged) {
						t.Errorf("byte %d: %v does not say that a block is damaged", at, lost.Err)
					}
					found := 0
					_, err := l.Verify(context.Background(), func(d *DamageError) { found++ })
					must(t, err)
					if found == 0 {
						t.Errorf("byte %d: not found", at)
					}
					must(t, disk.Corrupt(name, at, 1))
					if lostTable {
						must(t, disk.Corrupt(name, seg.end()+seg.footer-1, 1))
					}
				}
			}
			l.v.files.forgetAll()
			expect(t, l, 1, 600)
		})
	}
}

func TestWithoutItsKeyALogIsRefusedAndStaysAsItIs(t *testing.T) {
	disk, l := built(t, way{encrypt: true})
	before := contents(t, disk, l)
	other, _, err := atrest.NewKeyring("other", atrest.ChaCha, atrest.Cost{LogN: 1, R: 1, P: 1})
	must(t, err)
	for name, keys := range map[string]*atrest.Keyring{"none": nil, "another": other} {
		o := small(disk)
		o.Keys = keys
		v := openVolume(t, o)
		if _, err := v.OpenLog(testID); !errors.Is(err, atrest.ErrNoKey) || errors.Is(err, record.ErrDamaged) {
			t.Errorf("with %s key: %v", name, err)
		}
	}
	if after := contents(t, disk, l); !maps.Equal(before, after) {
		t.Error("files were changed")
	}
}

func TestTransformsBeginWithTheNextSegment(t *testing.T) {
	disk := newDisk(t)
	stages := []struct {
		way    way
		layout uint8
	}{
		{way{name: "plain"}, layoutFrames},
		{way{name: "s2", compression: atrest.S2}, layoutBlocks},
		{way{name: "encrypted", encrypt: true}, layoutBlocks},
		{way{name: "both", encrypt: true, compression: atrest.Zstd}, layoutBlocks},
	}
	for i, stage := range stages {
		o := small(disk)
		o.TailCache = -1
		stage.way.set(&o)
		v, err := Open(o)
		must(t, err)
		l := openLog(t, v, testID)
		base := uint64(i*20 + 1)
		expect(t, l, 1, base-1)
		appendDense(l, base, 20, 100)
		must(t, l.Checkpoint(nil))
		expect(t, l, 1, base+19)
		if s := l.segments[len(l.segments)-1]; s.layout != stage.layout {
			t.Errorf("%s: layout %d", stage.way.name, s.layout)
		}
		if s := l.segments[0]; s.layout != layoutFrames || i > 0 && (!s.sealed || s.footer == 0) {
			t.Errorf("%s: the first segment is %+v", stage.way.name, s)
		}
		must(t, v.Close())
	}
}

func TestAnUnknownLayoutIsRefusedByName(t *testing.T) {
	b := appendManifest(nil, &manifest{id: testID, first: 1, last: 9, next: 2, segments: []*segment{
		{no: 1, base: 1, last: 9, length: 100, layout: layoutBlocks + 1},
	}})
	if _, err := parseManifest(b); err == nil || errors.Is(err, record.ErrDamaged) || !strings.Contains(err.Error(), "layout 2") {
		t.Errorf("manifest: %v", err)
	}
	h := appendSegmentHeader(nil, testID, 1, 1, layoutBlocks+1)
	if _, _, _, err := parseSegmentHeader(h); err == nil || !strings.Contains(err.Error(), "layout 2") {
		t.Errorf("header: %v", err)
	}
}

// FuzzBlocks reads any bytes as the blocks and footer of a segment.
func FuzzBlocks(f *testing.F) {
	disk := newDisk(f)
	o := small(disk)
	o.Compression = atrest.S2
	l := openLog(f, openVolume(f, o), testID)
	for i := range uint64(4) {
		l.Append(marked(i*5+1, 5))
		must(f, l.Flush())
	}
	l.turn.Lock()
	seg := l.active()
	must(f, l.seal(seg))
	l.turn.Unlock()
	seg = l.segments[0]
	h, err := l.v.files.acquire(l, seg)
	must(f, err)
	whole := make([]byte, seg.end()+seg.footer)
	_, err = h.file.ReadAt(whole, 0)
	must(f, err)
	l.v.files.release(h)
	f.Add(whole[segmentHeader:], int64(len(whole))-segmentHeader-seg.footer, seg.length)
	f.Add(whole[segmentHeader:seg.end()], seg.end()-segmentHeader, seg.length)
	f.Fuzz(func(t *testing.T, b []byte, stored, length int64) {
		if stored < 1 || stored > int64(len(b)) || length <= segmentHeader || length > 1<<20 {
			return
		}
		disk := newDisk(t)
		o := small(disk)
		o.Keys = testKeys()
		v := openVolume(t, o)
		l := openLog(t, v, testID)
		must(t, disk.MkdirAll(l.dir))
		file, err := disk.Create(l.path("1.seg"))
		must(t, err)
		_, err = file.WriteAt(append(appendSegmentHeader(nil, testID, 1, 1, layoutBlocks), b...), 0)
		must(t, err)
		must(t, file.Close())
		must(t, l.writeManifest(&manifest{id: testID, first: 1, last: 50, next: 2, segments: []*segment{{
			no: 1, base: 1, last: 50, length: length, sealed: true, layout: layoutBlocks,
			stored: segmentHeader + stored, footer: int64(len(b)) - stored,
		}}}))
		must(t, l.Close())
		l = openLog(t, v, testID)
		c := l.Cursor(1)
		defer c.Close()
		next := uint64(1)
		for range 200 {
			r, err := c.Next()
			d := damageOf(err)
			switch {
			case d != nil && d.First >= next:
				next = d.Last + 1
			case err == nil && r.Seq >= next:
				next = r.Seq + 1
			case errors.Is(err, io.EOF), errors.Is(err, atrest.ErrNoKey), errors.Is(err, atrest.ErrUnknown):
				return
			default:
				t.Fatalf("after %d: record %d, %v", next-1, r.Seq, err)
			}
		}
		t.Fatal("a cursor goes on for ever")
	})
}

// FuzzTable reads any bytes as a block table.
func FuzzTable(f *testing.F) {
	f.Add(appendTable(nil, nil, []blockEntry{{64, 64}, {70_000, 5_000}}))
	seg := &segment{no: 1, layout: layoutBlocks, length: 1 << 20, stored: 1 << 19}
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := parseTable(b, nil, seg)
		if err != nil {
			return
		}
		again, err := parseTable(appendTable(nil, nil, table), nil, seg)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(table) {
			t.Fatalf("%v became %v, %v", table, again, err)
		}
	})
}
