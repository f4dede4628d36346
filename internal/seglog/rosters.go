package seglog

import (
	"container/list"
	"errors"
	"io"
	"sync"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/roster"
)

// footerRead is how much of a footer is read first: most have no more.
const footerRead = 4 << 10

// readFooter reads the footer of a segment, but its roster. It is nil where the file is
// shorter, or cannot be read, which the error says.
func readFooter(f io.ReaderAt, seg *segment) ([]byte, error) {
	b := make([]byte, min(seg.footer, footerRead))
	if n, err := f.ReadAt(b, seg.end()); n < len(b) {
		return nil, err
	}
	length := seg.footer - rosterLen(b, seg.footer)
	if length <= int64(len(b)) {
		return b[:length], nil
	}
	whole := make([]byte, length)
	n := copy(whole, b)
	if m, err := f.ReadAt(whole[n:], seg.end()+int64(n)); n+m < len(whole) {
		return nil, err
	}
	return whole, nil
}

// rosters keeps the rosters that were read last, of all logs of a volume.
type rosters struct {
	most int64 // bytes

	mu   sync.Mutex
	held map[fileKey]*list.Element // of *heldRoster; guarded by mu
	used list.List                 // the last used one in front; guarded by mu
	size int64                     // guarded by mu
}

type heldRoster struct {
	key fileKey
	r   *roster.Roster // nil: the segment has none
}

// heldRosterSize is what one takes beside the roster.
const heldRosterSize = 200

func (h *heldRoster) size() int64 {
	if h.r == nil {
		return heldRosterSize
	}
	return heldRosterSize + h.r.Size()
}

func (rs *rosters) find(key fileKey) (*roster.Roster, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	e := rs.held[key]
	if e == nil {
		return nil, false
	}
	rs.used.MoveToFront(e)
	return e.Value.(*heldRoster).r, true
}

// insert keeps the roster of a segment, unless the log let go of that.
func (rs *rosters) insert(key fileKey, seg *segment, r *roster.Roster) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.held[key] != nil || seg.gone.Load() {
		return
	}
	if rs.held == nil {
		rs.held = make(map[fileKey]*list.Element)
	}
	h := &heldRoster{key, r}
	rs.held[key] = rs.used.PushFront(h)
	rs.size += h.size()
	for rs.size > rs.most && rs.used.Len() > 1 {
		rs.removeLocked(rs.used.Back())
	}
}

// forget lets go of the roster of a segment.
func (rs *rosters) forget(key fileKey) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if e := rs.held[key]; e != nil {
		rs.removeLocked(e)
	}
}

func (rs *rosters) removeLocked(e *list.Element) {
	h := rs.used.Remove(e).(*heldRoster)
	delete(rs.held, h.key)
	rs.size -= h.size()
}

// roster gives the roster of a segment; nil where what it holds is not known. read is
// how many bytes had to be read.
func (l *Log) roster(seg *segment) (r *roster.Roster, read int64) {
	if !seg.sealed || seg.footer == 0 {
		return nil, 0
	}
	key := fileKey{l.id, seg.no}
	if r, ok := l.v.rosters.find(key); ok {
		return r, 0
	}
	b, err := l.loadRoster(seg)
	if err == nil && len(b) > 0 {
		r, err = l.parseRoster(b, seg.no)
	}
	if err != nil {
		l.v.log.Warn("roster of a segment cannot be used; its records are read", "file", l.path(segmentName(seg.no)), "error", err)
		if !errors.Is(err, record.ErrDamaged) {
			return nil, int64(len(b)) // it may be another time
		}
	}
	l.v.rosters.insert(key, seg, r)
	return r, int64(len(b)) + footerHeader
}

// loadRoster reads a segment's roster as it is in the file; empty: it has none.
func (l *Log) loadRoster(seg *segment) ([]byte, error) {
	h, err := l.v.files.acquire(l, seg)
	if err != nil {
		return nil, err
	}
	defer l.v.files.release(h)
	var head [footerHeader]byte
	if n, err := h.file.ReadAt(head[:], seg.end()); n < len(head) {
		return nil, short(err)
	}
	b := make([]byte, rosterLen(head[:], seg.footer))
	if n, err := h.file.ReadAt(b, seg.end()+seg.footer-int64(len(b))); n < len(b) {
		return nil, short(err)
	}
	return b, nil
}

// short makes a file that ends too early damage.
func short(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return record.ErrDamaged
	}
	return err
}

// verifyRoster verifies a segment's roster, given as it is in the file.
func (l *Log) verifyRoster(seg *segment, b []byte, found func(*DamageError)) error {
	if len(b) == 0 {
		return nil
	}
	n := int64(len(b))
	_, err := l.parseRoster(b, seg.no)
	if errors.Is(err, record.ErrDamaged) {
		found(&DamageError{File: l.path(segmentName(seg.no)), Offset: seg.end() + seg.footer - n, Length: n, Err: err})
		return nil
	}
	return err
}
