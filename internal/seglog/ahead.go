package seglog

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// What was written past the page cache is not in it when readers come for it, and to
// bring it there costs them more than all else that they do with small records. So the
// first reader that goes through such a segment reads past the cache, too, and has the
// next pieces of the file read while it is busy with one. Readers that come later go
// through the cache: they read the device no more than once for all of them.

const (
	// pieceLen is what is read ahead at once.
	pieceLen = 512 << 10
	// pieceRoom is kept before it for what its reader has left of the piece before.
	pieceRoom = blockLen
	// piecesAhead is how many pieces are read at once for a reader: the device is idle
	// from when one is there until the next one is asked for.
	piecesAhead = 2
	// piecesMost bounds the pieces of all readers of a volume, one more for each.
	piecesMost = 32
)

// piece is a part of a segment's file that is read before its reader needs it.
type piece struct {
	all *pieces
	buf []byte // aligned: room, and pieceLen bytes

	no    uint64 // the segment
	off   int64  // where it begins in the file
	n     int    // how many bytes count
	err   error
	done  chan struct{} // has a token once all of it is there, or err
	state atomic.Uint32
}

// States of a piece.
const (
	pieceComing  = iota // its goroutine has it
	pieceRead           // its reader has it
	pieceDropped        // its goroutine gives it back
)

// pieces hands out pieces, while the volume runs.
type pieces struct {
	mu      sync.Mutex
	running bool
	out     int // pieces in use
	reads   sync.WaitGroup
	pool    sync.Pool
}

func (a *pieces) start() {
	a.mu.Lock()
	a.running = true
	a.mu.Unlock()
}

// stop ends reading ahead and waits for what is being read.
func (a *pieces) stop() {
	a.mu.Lock()
	a.running = false
	a.mu.Unlock()
	a.reads.Wait()
}

// take gives a piece that is to be read now; nil where there are enough.
func (a *pieces) take() *piece {
	a.mu.Lock()
	if !a.running || a.out == piecesMost {
		a.mu.Unlock()
		return nil
	}
	a.out++
	a.reads.Add(1)
	a.mu.Unlock()
	p, _ := a.pool.Get().(*piece)
	if p == nil {
		p = &piece{all: a, buf: vfs.AlignedBuffer(pieceRoom + pieceLen), done: make(chan struct{}, 1)}
	}
	p.state.Store(pieceComing)
	return p
}

// give takes a piece back.
func (p *piece) give() {
	a := p.all
	p.err = nil
	a.pool.Put(p)
	a.mu.Lock()
	a.out--
	a.mu.Unlock()
}

// read reads the piece and tells its reader, or gives it back if there is none now.
func (p *piece) read(l *Log) {
	defer p.all.reads.Done()
	p.err = l.readPast(p)
	if !p.state.CompareAndSwap(pieceComing, pieceRead) {
		p.give()
		return
	}
	p.done <- struct{}{}
}

// wait waits for a piece and says whether it could be read.
func (p *piece) wait() bool {
	<-p.done
	return p.err == nil
}

// drop lets go of a piece that nobody waited for.
func (p *piece) drop() {
	if !p.state.CompareAndSwap(pieceComing, pieceDropped) {
		<-p.done
		p.give()
	}
}

// readPast reads a piece past the page cache. Its reader finds out itself what a
// failure means.
func (l *Log) readPast(p *piece) error {
	d, can := l.v.fs.(vfs.DirectOpener)
	if !can {
		return vfs.ErrNoDirect
	}
	f, err := d.OpenDirect(l.path(segmentName(p.no)), false)
	if err != nil {
		return fmt.Errorf("open segment to read ahead: %w", err)
	}
	defer closeAll([]vfs.File{f})
	size := (p.n + vfs.DirectAlign - 1) &^ (vfs.DirectAlign - 1)
	n, err := f.ReadAt(p.buf[pieceRoom:pieceRoom+size], p.off)
	switch {
	case n >= p.n:
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("read ahead at %d: %w", p.off, record.ErrDamaged)
	default:
		return fmt.Errorf("read ahead at %d: %w", p.off, err)
	}
}

// readAhead asks for what follows the window, where the reader goes forward.
func (w *walker) readAhead() {
	end := w.win.off + int64(w.win.n)
	for len(w.coming) < piecesAhead {
		if n := len(w.coming); n > 0 {
			end = w.coming[n-1].end()
		}
		if !w.forward || w.win.ahead < blockLen || end >= w.seg.length || end%vfs.DirectAlign != 0 || !w.claims() {
			return
		}
		p := w.l.v.pieces.take()
		if p == nil {
			return
		}
		p.no, p.off, p.n = w.seg.no, end, int(min(pieceLen, w.seg.length-end))
		w.coming = append(w.coming, p)
		go p.read(w.l)
	}
}

// end is the offset behind the piece.
func (p *piece) end() int64 { return p.off + int64(p.n) }

// claims says whether this is the reader that reads the segment past the page cache.
func (w *walker) claims() bool {
	if w.seg.past == nil {
		return false
	}
	if w.claim.no != w.seg.no {
		w.claim.no, w.claim.is = w.seg.no, w.seg.past.CompareAndSwap(false, true)
	}
	return w.claim.is
}

// adopt makes the piece that was read ahead the window, if that has n bytes from off
// then. If not, the segment is read as others are.
func (w *walker) adopt(off int64, n int) bool {
	if len(w.coming) == 0 {
		return false
	}
	p := w.coming[0]
	from := min(off, p.off) // where the window is to begin
	fits := p.no == w.seg.no && p.off-from <= pieceRoom && off+int64(n) <= p.end() && (from == p.off || w.win.reaches(from, p.off))
	if !fits {
		w.claim.is = false
		w.dropComing()
		return false
	}
	w.coming = append(w.coming[:0], w.coming[1:]...)
	if !p.wait() {
		w.claim.is = false
		p.give()
		w.dropComing()
		return false
	}
	w.win.turn(p, from)
	w.readAhead()
	return true
}

// reaches says whether the window has what lies between two offsets.
func (w *window) reaches(from, to int64) bool {
	return from >= w.off && to == w.off+int64(w.n)
}

// turn puts a piece in the place of the window's memory, behind what the window has
// from an offset on.
func (w *window) turn(p *piece, from int64) {
	at := pieceRoom - int(p.off-from)
	if from < p.off {
		copy(p.buf[at:pieceRoom], w.buf[from-w.off:w.n])
	}
	w.release()
	w.piece = p
	w.buf = p.buf[at : pieceRoom+p.n]
	w.off, w.n, w.ahead = from, len(w.buf), blockLen
}

// dropComing lets go of what is being read ahead.
func (w *walker) dropComing() {
	for _, p := range w.coming {
		p.drop()
	}
	w.coming = w.coming[:0]
}
