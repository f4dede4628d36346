package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sort"

	"github.com/weirmq/weir/internal/record"
)

// Footer of a sealed segment, little endian. The manifest says where it begins
// and how long it is. It is a cache: where it is damaged the frames are scanned.
//
//	offset size
//	0      4    magic "WSF1"
//	4      4    checksum of the footer from offset 8
//	8      1    version (2)
//	9      3    0
//	12     4    count of index entries
//	16     8    partition id
//	24     4    partition incarnation
//	28     4    length of the roster; 0: there is none
//	32     8    segment number
//	40     8    length of header and frames
//	48          index entries
//	..          the block table, if there are blocks
//	..          the roster of subjects, see package roster
//
// Version 1 has no roster. Index entry:
//
//	0      8    base sequence of a frame
//	8      8    highest time of all records before it in the segment
//	16     8    offset of the frame
const (
	footerMagic   = "WSF1"
	footerVersion = 2
	footerOldest  = 1
	footerHeader  = 48
	entryLen      = 24

	// indexEvery is the number of bytes from one index entry to the next, at least.
	indexEvery = 64 << 10
)

// indexEntry names a frame of a segment, about one in indexEvery bytes.
type indexEntry struct {
	seq    uint64 // base of the frame
	before int64  // highest time of the records before the frame; it never falls
	off    int64
}

// indexer builds the sparse index while frames go by.
type indexer struct {
	entries []indexEntry
	maxTime int64
	count   uint64
}

func newIndexer() indexer { return indexer{maxTime: math.MinInt64} }

// add takes the frame at off into account, which lies after all others.
func (x *indexer) add(f *record.Frame, off int64) {
	if n := len(x.entries); n == 0 || off-x.entries[n-1].off >= indexEvery {
		x.entries = append(x.entries, indexEntry{f.Base, x.maxTime, off})
	}
	for i := range int(f.Count) {
		x.maxTime = max(x.maxTime, f.TimeOf(i))
	}
	x.count += uint64(f.Count)
}

// findSeq is the last entry at or below seq: where a search for it begins.
func findSeq(index []indexEntry, seq uint64) (indexEntry, bool) {
	i := sort.Search(len(index), func(i int) bool { return index[i].seq > seq })
	if i == 0 {
		return indexEntry{}, false
	}
	return index[i-1], true
}

// findTime is the entry behind which the first record of time t or later lies,
// if the segment has one.
func findTime(index []indexEntry, t int64) (indexEntry, bool) {
	i := sort.Search(len(index), func(i int) bool { return index[i].before >= t })
	if i == 0 {
		return indexEntry{}, false
	}
	return index[i-1], true
}

// appendFooter appends the head and the index of a footer that ends with a roster of so
// many bytes.
func appendFooter(dst []byte, id record.Identity, no uint64, length int64, index []indexEntry, roster int) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, footerHeader+len(index)*entryLen)...)
	b := dst[at:]
	copy(b, footerMagic)
	b[8] = footerVersion
	binary.LittleEndian.PutUint32(b[12:], uint32(len(index)))
	binary.LittleEndian.PutUint64(b[16:], id.ID)
	binary.LittleEndian.PutUint32(b[24:], id.Incarnation)
	binary.LittleEndian.PutUint32(b[28:], uint32(roster))
	binary.LittleEndian.PutUint64(b[32:], no)
	binary.LittleEndian.PutUint64(b[40:], uint64(length))
	for i, e := range index {
		p := b[footerHeader+i*entryLen:]
		binary.LittleEndian.PutUint64(p, e.seq)
		binary.LittleEndian.PutUint64(p[8:], uint64(e.before))
		binary.LittleEndian.PutUint64(p[16:], uint64(e.off))
	}
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return dst
}

// rosterLen is how long the roster is at the end of a footer of so many bytes, as its
// first ones say, which are not verified; 0: there is none, or it cannot be.
func rosterLen(head []byte, footer int64) int64 {
	if len(head) < footerHeader || head[8] == footerOldest {
		return 0
	}
	n := int64(binary.LittleEndian.Uint32(head[28:]))
	if n > mostRoster || n > footer-footerHeader {
		return 0
	}
	return n
}

// parseFooter reads the head and the index of the footer of segment no, whose frames
// end at length.
func parseFooter(b []byte, id record.Identity, no uint64, length int64) ([]indexEntry, error) {
	if len(b) < footerHeader || string(b[:4]) != footerMagic || b[8] < footerOldest || b[8] > footerVersion {
		return nil, fmt.Errorf("footer magic: %w", record.ErrDamaged)
	}
	if crc32.Checksum(b[8:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, fmt.Errorf("checksum of the footer: %w", record.ErrDamaged)
	}
	n := uint64(binary.LittleEndian.Uint32(b[12:]))
	same := binary.LittleEndian.Uint64(b[16:]) == id.ID && binary.LittleEndian.Uint32(b[24:]) == id.Incarnation &&
		binary.LittleEndian.Uint64(b[32:]) == no && binary.LittleEndian.Uint64(b[40:]) == uint64(length)
	if !same || uint64(len(b)-footerHeader) != n*entryLen {
		return nil, fmt.Errorf("footer of another segment: %w", record.ErrDamaged)
	}
	index := make([]indexEntry, n)
	for i := range index {
		p := b[footerHeader+i*entryLen:]
		index[i] = indexEntry{
			seq:    binary.LittleEndian.Uint64(p),
			before: int64(binary.LittleEndian.Uint64(p[8:])),
			off:    int64(binary.LittleEndian.Uint64(p[16:])),
		}
		e := index[i]
		if e.off < segmentHeader || e.off >= length || i > 0 && (e.seq < index[i-1].seq || e.off <= index[i-1].off || e.before < index[i-1].before) {
			return nil, fmt.Errorf("order of the footer's index: %w", record.ErrDamaged)
		}
	}
	return index, nil
}
