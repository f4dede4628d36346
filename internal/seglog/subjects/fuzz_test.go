package subjects

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// A run of any bytes is read to its end or gives damage. Checksums are mended,
// so that what is behind them is reached.
func FuzzRun(f *testing.F) {
	fs := newDisk(f)
	s := open(f, fs, nil)
	m := model{"a": {Count: 3, First: 1, Last: 9, Seqs: []uint64{1, 4, 9}}, "a.b": {}, "b.c": {Count: 2, First: 5}}
	must(f, s.WriteRun(m.sorted()))
	h, err := fs.OpenRead("log/1.run")
	must(f, err)
	seed := make([]byte, s.Stats().Bytes)
	_, err = h.ReadAt(seed, 0)
	must(f, err)
	must(f, h.Close())
	f.Add(seed)
	f.Add(seed[:headLen])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		sum := mend(b)
		fs := newDisk(t)
		h, err := fs.Create("log/1.run")
		must(t, err)
		_, err = h.WriteAt(b, 0)
		must(t, err)
		d, err := Open(options(fs), appendList(nil, 2, []named{{1, sum}}))
		if err == nil {
			_, err = contents(d, "")
			_, _, lookup := d.Lookup([]byte("a.b"))
			if err == nil && lookup != nil {
				t.Fatalf("a run that reads whole fails a look-up: %v", lookup)
			}
		}
		if err != nil && !errors.Is(err, record.ErrDamaged) {
			t.Fatal(err)
		}
	})
}

// mend makes head, index and first block verify where their places allow it.
func mend(b []byte) (sum uint32) {
	if len(b) < headLen+blockHeader {
		return 0
	}
	copy(b, headMagic)
	b[8] = headVersion
	h := head{id: testID, no: 1, indexOff: int64(binary.LittleEndian.Uint64(b[48:]))}
	h.indexLen = int64(len(b)) - h.indexOff
	if h.indexOff < headLen+blockHeader || h.indexLen < indexHeader {
		return 0
	}
	copy(b, h.encode())
	for _, part := range [][]byte{b[h.indexOff:], b[headLen:h.indexOff]} {
		binary.LittleEndian.PutUint64(part[8:], 1)
		if len(part) == int(h.indexOff)-headLen {
			binary.LittleEndian.PutUint64(part[16:], headLen)
		}
		binary.LittleEndian.PutUint32(part, crc32.Checksum(part[4:], castagnoli))
	}
	return binary.LittleEndian.Uint32(b[4:])
}

func FuzzParts(f *testing.F) {
	f.Add(appendList(nil, 9, []named{{3, 4}, {8, 1}}))
	f.Add(appendEntry(nil, &Entry{Count: 2, First: 7, Last: 9, Seqs: []uint64{7, 9}}))
	f.Add((&head{id: testID, no: 1, indexOff: 100, indexLen: 50}).encode())
	var x indexWriter
	x.add([]byte("a"), 40)
	f.Add(x.finish(1))
	var w blockWriter
	w.reset()
	w.add([]byte("a"), &Entry{Count: 1})
	f.Add(w.finish(1, headLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		if next, runs, err := parseList(b); err == nil && len(b) > 0 && !bytes.Equal(appendList(nil, next, runs), b) {
			t.Fatal("a list is not what it was")
		}
		if h, err := parseHead(b); err == nil && h.size() < headLen {
			t.Fatalf("a run of %d bytes", h.size())
		}
		if x, err := parseIndex(b, 1, headLen+40); err == nil {
			_ = x.find([]byte("m"))
		}
		_ = verifyBlock(b, 1, headLen)
		var it blockIter
		for it.start(b); it.next(); {
			if err := it.entry.valid(); err != nil && !it.entry.Tombstone() {
				t.Fatalf("a decoded entry is not valid: %v", err)
			}
		}
		var e Entry
		if _, err := decodeEntry(b, &e); err == nil {
			var again Entry
			rest, err := decodeEntry(appendEntry(nil, &e), &again)
			if err != nil || len(rest) > 0 || !reflect.DeepEqual(e.clone(), again.clone()) {
				t.Fatalf("%+v came back as %+v, %v", e, again, err)
			}
		}
	})
}
