package subjects

import (
	"fmt"
	"path"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Runs gives the names of a directory that are runs' names.
func Runs(names []string) []string {
	var out []string
	for _, name := range names {
		if _, ok := runNumber(name); ok {
			out = append(out, name)
		}
	}
	return out
}

// Verify reads all of a run of a log and says what is wrong with it, and where it
// begins. The error wraps record.ErrDamaged, or is what the disk said. It writes
// nothing.
func Verify(fs vfs.FS, name string, id record.Identity) (off int64, err error) {
	no, ok := runNumber(path.Base(name))
	if !ok {
		return 0, fmt.Errorf("%s is no name of a run", name)
	}
	f, err := fs.OpenRead(name)
	if err != nil {
		return 0, fmt.Errorf("open run: %w", err)
	}
	defer closeRead(f)
	var b [headLen]byte
	if err := readFull(f, b[:], 0); err != nil {
		return 0, err
	}
	h, err := parseHead(b[:])
	if err != nil {
		return 0, err
	}
	size, err := f.Size()
	if err != nil {
		return 0, fmt.Errorf("size of a run: %w", err)
	}
	if h.id != id || h.no != no || h.size() != size {
		return 0, fmt.Errorf("run %d of %d-%d, %d bytes: %w", h.no, h.id.ID, h.id.Incarnation, h.size(), record.ErrDamaged)
	}
	index := make([]byte, h.indexLen)
	if err := readFull(f, index, h.indexOff); err != nil {
		return h.indexOff, err
	}
	x, err := parseIndex(index, no, h.indexOff)
	if err != nil {
		return h.indexOff, err
	}
	return verifyBlocks(f, h, x)
}

// verifyBlocks reads the blocks of a run and their entries.
func verifyBlocks(f vfs.File, h head, x *blockIndex) (off int64, err error) {
	var it blockIter
	var entries uint64
	for _, at := range x.blocks {
		b := make([]byte, at.length)
		if err := readFull(f, b, at.off); err != nil {
			return at.off, err
		}
		if err := verifyBlock(b, h.no, at.off); err != nil {
			return at.off, err
		}
		for it.start(b); it.next(); {
			entries++
		}
		if it.err != nil {
			return at.off, it.err
		}
	}
	if entries != h.entries {
		return 0, fmt.Errorf("%d entries, not %d: %w", entries, h.entries, record.ErrDamaged)
	}
	return 0, nil
}
