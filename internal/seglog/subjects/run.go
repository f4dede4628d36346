package subjects

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

const runSuffix = ".run"

// run is one run of a set. Its file is opened for each read of a page that is
// not cached, and once for each iteration.
type run struct {
	head
	set  *Set
	sum  uint32 // the checksum in its head
	refs int    // readers; guarded by Set.mu
	// unwanted says that it was replaced and no list names it any more: the last
	// reader removes its file.
	unwanted bool // guarded by Set.mu
}

func (s *Set) path(no uint64) string {
	return path.Join(s.o.Dir, strconv.FormatUint(no, 10)+runSuffix)
}

// runNumber is the number in a run's file name.
func runNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, runSuffix)
	if !ok {
		return 0, false
	}
	no, err := strconv.ParseUint(digits, 10, 64)
	return no, err == nil && no > 0 && strconv.FormatUint(no, 10) == digits
}

// openRun reads the head of a run.
func (s *Set) openRun(n named) (*run, error) {
	name := s.path(n.no)
	f, err := openRead(s.o.FS, name)
	if err != nil {
		return nil, err
	}
	defer closeRead(f)
	var b [headLen]byte
	if err := readFull(f, b[:], 0); err != nil {
		return nil, err
	}
	h, err := parseHead(b[:])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("size of a run: %w", err)
	}
	sum := binary.LittleEndian.Uint32(b[4:])
	if h.id != s.o.ID || h.no != n.no || sum != n.sum || h.size() != size {
		return nil, fmt.Errorf("%s is another run: %w", name, record.ErrDamaged)
	}
	return &run{head: h, set: s, sum: sum}, nil
}

// openRead opens a file that has to be there: if it is not, that is damage.
func openRead(d vfs.FS, name string) (vfs.File, error) {
	f, err := d.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open run: %w: %w", record.ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	return f, nil
}

// closeRead closes a file that was only read: a failure to do so loses nothing.
func closeRead(f vfs.File) { _ = f.Close() }

// readFull fills b. A file that ends before is damaged.
func readFull(f vfs.File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s at offset %d: file ends: %w", f.Name(), off, record.ErrDamaged)
	}
	return fmt.Errorf("read run: %w", err)
}

// pages reads a run for one caller; the file is opened when it is needed.
type pages struct {
	*run
	f vfs.File
	// once says that what is read is not needed again: it is not cached.
	once bool
}

func (p *pages) close() {
	if p.f != nil {
		closeRead(p.f)
		p.f = nil
	}
}

func (p *pages) read(off, n int64) ([]byte, error) {
	if p.f == nil {
		f, err := openRead(p.set.o.FS, p.set.path(p.no))
		if err != nil {
			return nil, err
		}
		p.f = f
	}
	b := make([]byte, n)
	if err := readFull(p.f, b, off); err != nil {
		return nil, err
	}
	return b, nil
}

func (p *pages) index() (*blockIndex, error) {
	key := pageKey{runKey{p.set.key, p.no}, 0}
	if x, ok := p.set.o.Cache.get(key).(*blockIndex); ok {
		return x, nil
	}
	b, err := p.read(p.indexOff, p.indexLen)
	if err != nil {
		return nil, err
	}
	x, err := parseIndex(b, p.no, p.indexOff)
	if err != nil {
		return nil, fmt.Errorf("%s at offset %d: %w", p.set.path(p.no), p.indexOff, err)
	}
	if !p.once {
		p.set.o.Cache.put(key, x, x.size())
	}
	return x, nil
}

func (p *pages) block(at place) ([]byte, error) {
	key := pageKey{runKey{p.set.key, p.no}, at.off}
	if b, ok := p.set.o.Cache.get(key).([]byte); ok {
		return b, nil
	}
	b, err := p.read(at.off, int64(at.length))
	if err != nil {
		return nil, err
	}
	if err := verifyBlock(b, p.no, at.off); err != nil {
		return nil, fmt.Errorf("%s at offset %d: %w", p.set.path(p.no), at.off, err)
	}
	if !p.once {
		p.set.o.Cache.put(key, b, int64(len(b)))
	}
	return b, nil
}

// find looks a subject up. The entry is a copy.
func (p *pages) find(name []byte) (Entry, bool, error) {
	x, err := p.index()
	if err != nil {
		return Entry{}, false, err
	}
	i := x.find(name)
	if i < 0 {
		return Entry{}, false, nil
	}
	b, err := p.block(x.blocks[i])
	if err != nil {
		return Entry{}, false, err
	}
	var it blockIter
	it.start(b)
	if it.seek(name) && string(it.name) == string(name) {
		return it.entry.clone(), true, nil
	}
	return Entry{}, false, p.at(x.blocks[i].off, it.err)
}

// at says where an error is.
func (p *pages) at(off int64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s at offset %d: %w", p.set.path(p.no), off, err)
}
