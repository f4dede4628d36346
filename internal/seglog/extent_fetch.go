package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Placed is what a place in the journal says: which file of the log, and which
// sequences.
type Placed struct {
	File        string
	First, Last uint64
}

// ReadPlace decodes Extent.Place.
func (l *Log) ReadPlace(b []byte) (Placed, error) {
	p, err := parsePlace(b)
	if err != nil {
		return Placed{}, err
	}
	return Placed{l.path(segmentName(p.no)), p.base, p.last}, nil
}

// parsedPlace is a place as the journal has it.
type parsedPlace struct {
	no         uint64
	off        int64
	n          uint32
	sum        uint32
	base, last uint64
}

func parsePlace(b []byte) (parsedPlace, error) {
	if len(b) != placeLen {
		return parsedPlace{}, fmt.Errorf("place of %d bytes: %w", len(b), record.ErrDamaged)
	}
	p := parsedPlace{
		no:   binary.LittleEndian.Uint64(b),
		off:  int64(binary.LittleEndian.Uint64(b[8:])),
		n:    binary.LittleEndian.Uint32(b[16:]),
		sum:  binary.LittleEndian.Uint32(b[20:]),
		base: binary.LittleEndian.Uint64(b[24:]),
		last: binary.LittleEndian.Uint64(b[32:]),
	}
	if p.off < extentStart || p.off > maxSegment || p.n < record.HeaderLen || p.last < p.base || p.last == math.MaxUint64 {
		return parsedPlace{}, fmt.Errorf("place of a frame: %w", record.ErrDamaged)
	}
	return p, nil
}

// Fetch reads the frame that the journal names by its place, at recovery, before
// anything is written. The error wraps record.ErrDamaged if it is not there as it was
// written, and fs.ErrNotExist if the file is gone: its name was durable before the
// journal could name it, so it was removed.
func (l *Log) Fetch(place []byte) ([]byte, error) {
	p, err := parsePlace(place)
	if err != nil {
		return nil, err
	}
	name := l.path(segmentName(p.no))
	f, err := l.v.fs.OpenRead(name)
	if err != nil {
		return nil, fmt.Errorf("open extent: %w", err)
	}
	b, err := l.fetch(f, p)
	closeAll([]vfs.File{f})
	if err != nil {
		return nil, fmt.Errorf("read extent %s at offset %d, sequences %d to %d: %w", name, p.off, p.base, p.last, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.no == p.no && p.off+int64(p.n) > s.length {
			if l.extents.referred == nil {
				l.extents.referred = make(map[uint64]bool)
			}
			l.extents.referred[p.no] = true
		}
	}
	return b, nil
}

func (l *Log) fetch(f vfs.File, p parsedPlace) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if p.off+int64(p.n) > size {
		return nil, fmt.Errorf("file of %d bytes: %w", size, record.ErrDamaged)
	}
	b := make([]byte, p.n)
	if n, err := f.ReadAt(b, p.off); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = record.ErrDamaged
		}
		return nil, err
	}
	fr, n, err := record.Parse(b)
	if err != nil {
		return nil, err
	}
	if n != len(b) || binary.LittleEndian.Uint32(b[4:]) != p.sum || fr.Partition != l.id || fr.Base != p.base || fr.Last() != p.last {
		return nil, fmt.Errorf("another frame: %w", record.ErrDamaged)
	}
	for i := range int(fr.Count) {
		if err := fr.Verify(i); err != nil {
			return nil, err
		}
	}
	return b, nil
}
