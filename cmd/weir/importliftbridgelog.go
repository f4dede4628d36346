package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/wire/liftbridge/store"
)

// liftLog reads the log of one partition in a Liftbridge server's directory.
type liftLog struct {
	dir  string
	next int64   // the offset behind the last one that was given
	torn *damage // what was just being written when the server ended; nil: nothing
	rec  store.Record
}

// liftSegment is one file of a log.
type liftSegment struct {
	file string
	base int64
}

func (l *liftLog) segments() ([]liftSegment, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	var all []liftSegment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".log")
		if !ok {
			continue
		}
		base, err := strconv.ParseInt(name, 10, 64)
		if err != nil || base < 0 {
			return nil, fmt.Errorf("%s has no number in its name", filepath.Join(l.dir, e.Name()))
		}
		all = append(all, liftSegment{filepath.Join(l.dir, e.Name()), base})
	}
	slices.SortFunc(all, func(a, b liftSegment) int { return cmp.Compare(a.base, b.base) })
	return all, nil
}

// read gives the records in order, with where they stand; they are valid during the call
// only. skip is told of damage. Damage that is a record cut short at the end of the log is
// torn.
func (l *liftLog) read(skip func(damage) error, each func(*store.Head, *store.Record, damage) error) error {
	all, err := l.segments()
	if err != nil {
		return err
	}
	l.torn = nil
	for i, s := range all {
		l.next = max(l.next, s.base)
		f, err := os.Open(s.file)
		if err != nil {
			return fmt.Errorf("read messages: %w", err)
		}
		r := &segmentReader{liftLog: l, f: f, file: s.file, in: bufio.NewReaderSize(f, 1<<20), newest: i == len(all)-1}
		if err := errors.Join(r.read(skip, each), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// segmentReader reads one file.
type segmentReader struct {
	*liftLog
	f      *os.File
	file   string
	in     *bufio.Reader
	at     int64 // of the next record
	buf    []byte
	newest bool // it is the last of the log
}

func (r *segmentReader) read(skip func(damage) error, each func(*store.Head, *store.Record, damage) error) error {
	for {
		h, err := r.one()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, store.ErrDamaged):
			if err := r.over(err, skip); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("read %s: %w", r.file, err)
		}
		l := damage{file: r.file, at: r.at}
		r.at += store.HeadSize + int64(h.Size)
		r.next = h.Offset + 1
		if err := each(&h, &r.rec, l); err != nil {
			return err
		}
	}
}

// farthest is how far behind the last record another one may be, as compaction leaves
// them.
const farthest = 1 << 32

// mayBe says whether a record of an offset may come next.
func (l *liftLog) mayBe(offset int64) bool { return offset >= l.next && offset-l.next <= farthest }

// errCut says that the file ends within a record.
var errCut = fmt.Errorf("%w: the file ends in it", store.ErrDamaged)

// one reads the record that comes next; io.EOF where there is none.
func (r *segmentReader) one() (store.Head, error) {
	var head [store.HeadSize]byte
	switch n, err := io.ReadFull(r.in, head[:]); {
	case errors.Is(err, io.ErrUnexpectedEOF) && (n < 8 || r.mayBe(int64(binary.BigEndian.Uint64(head[:])))):
		return store.Head{}, errCut
	case errors.Is(err, io.ErrUnexpectedEOF):
		return store.Head{}, fmt.Errorf("%w: %d bytes are no record", store.ErrDamaged, n)
	case err != nil:
		return store.Head{}, err
	}
	h, err := store.ParseHead(head[:])
	if err != nil {
		return h, err
	}
	if !r.mayBe(h.Offset) {
		return h, fmt.Errorf("%w: it is offset %d, behind %d", store.ErrDamaged, h.Offset, r.next-1)
	}
	if cap(r.buf) < h.Size {
		r.buf = make([]byte, h.Size)
	}
	body := r.buf[:h.Size]
	if _, err := io.ReadFull(r.in, body); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errCut
		}
		return h, err
	}
	return h, store.DecodeRecord(body, &r.rec)
}

// over goes on behind damage: with the next record that is sound, or the next file.
func (r *segmentReader) over(why error, skip func(damage) error) error {
	d := damage{r.file, r.at, why}
	next, zero, err := r.search(r.at + 1)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.file, err)
	}
	if next < 0 && r.newest && (zero || errors.Is(why, errCut)) {
		r.torn = &d
	} else if err := skip(d); err != nil {
		return err
	}
	if next < 0 {
		if next, err = r.f.Seek(0, io.SeekEnd); err != nil {
			return fmt.Errorf("read %s: %w", r.file, err)
		}
	}
	if _, err := r.f.Seek(next, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", r.file, err)
	}
	r.at = next
	r.in.Reset(r.f)
	return nil
}

// searched is how much is read at once to find a record.
const searched = 1 << 20

// search finds the next place from at on where a sound record stands that may be here; -1
// where there is none. zero says that there, and in the byte before, are zeros only.
func (r *segmentReader) search(at int64) (place int64, zero bool, err error) {
	info, err := r.f.Stat()
	if err != nil {
		return 0, false, err
	}
	end := info.Size()
	zero = true
	buf := make([]byte, searched)
	for from := at - 1; from < end; from += searched - store.HeadSize {
		n, err := r.f.ReadAt(buf[:min(searched, end-from)], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, false, err
		}
		for _, c := range buf[:n] {
			zero = zero && c == 0
		}
		if zero {
			continue
		}
		for i := 0; i+store.HeadSize <= n; i++ {
			if from+int64(i) < at {
				continue
			}
			found, err := r.soundAt(from+int64(i), end, buf[i:n])
			if found || err != nil {
				return from + int64(i), false, err
			}
		}
	}
	return -1, zero, nil
}

// soundAt says whether a record that may be the next one stands at a place.
func (r *segmentReader) soundAt(at, end int64, b []byte) (bool, error) {
	h, err := store.ParseHead(b)
	if err != nil || !r.mayBe(h.Offset) || at+store.HeadSize+int64(h.Size) > end {
		return false, nil
	}
	body := b[store.HeadSize:]
	if len(body) < h.Size {
		body = make([]byte, h.Size)
		if _, err := r.f.ReadAt(body, at+store.HeadSize); err != nil {
			return false, err
		}
	}
	return store.Sound(body[:h.Size]), nil
}
