package journal

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/vfs"
)

const (
	fileSuffix = ".journal"
	newSuffix  = ".new" // a file that is not filled yet
)

// file is one file of the journal. Fields other than held belong to whoever has
// the file: recovery, the preparer, or the writer.
type file struct {
	name string // without directory
	f    vfs.File
	size int64
	// direct writes are durable when they return.
	direct bool

	generation uint64
	written    int64 // where the next batch goes

	// held is the highest index of each group that is not released. Guarded
	// by Journal.mu.
	held map[GroupID]uint64
}

func (f *file) close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}

// hold notes that the file has an entry of a group.
func (f *file) hold(id GroupID, index uint64) {
	if last, ok := f.held[id]; !ok || index > last {
		f.held[id] = index
	}
}

func fileName(id uint64) string { return fmt.Sprintf("%06d%s", id, fileSuffix) }

// fileID gives the number in a name, and whether it is one of ours.
func fileID(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, fileSuffix)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil
}

// openForWriting opens a file past the page cache if each batch is synced and
// the file system allows it, else through it.
func (j *Journal) openForWriting(f *file) (err error) {
	full := path.Join(j.opts.Dir, f.name)
	d, can := j.opts.FS.(vfs.DirectOpener)
	if can && !j.opts.Buffered && j.opts.Sync.every == 0 {
		f.f, err = d.OpenDirect(full, true)
		f.direct = err == nil
		if !errors.Is(err, vfs.ErrNoDirect) {
			return err
		}
	}
	f.f, err = j.opts.FS.OpenWrite(full)
	return err
}

// makeFile creates a file of zeros. Its name is durable when it returns.
func (j *Journal) makeFile(id uint64) (*file, error) {
	fs, name := j.opts.FS, fileName(id)
	full := path.Join(j.opts.Dir, name)
	f, err := fs.Create(full + newSuffix)
	if err != nil {
		return nil, fmt.Errorf("create journal file: %w", err)
	}
	err = j.fillFile(f, full+newSuffix)
	if err = errors.Join(err, f.Close()); err == nil {
		err = fs.Rename(full+newSuffix, full)
	}
	if err == nil {
		err = fs.SyncDir(j.opts.Dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare journal file %s: %w", name, err), fs.RemoveAll(full+newSuffix))
	}
	h := &file{name: name, size: j.fileSize}
	if err := j.openForWriting(h); err != nil {
		return nil, fmt.Errorf("open journal file: %w", err)
	}
	j.Metrics.Files.Add(1)
	return h, nil
}

// fillStep is how much of a new file is written between two syncs where writes go
// through the page cache, so that the writer's own never waits for a whole file.
const fillStep = 4 << 20

// fillFile overwrites the whole file once: writing into blocks that were only
// allocated changes the file system's own log with each sync.
func (j *Journal) fillFile(f vfs.File, name string) error {
	if err := f.Allocate(j.fileSize); err != nil {
		return err
	}
	to, direct, err := j.openForFilling(f, name)
	if err != nil {
		return err
	}
	err = j.fill(to, direct)
	if direct {
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		return err
	}
	return f.Sync()
}

// openForFilling opens a new file past the page cache where it will be written so,
// which costs least of the processor and leaves the disk's queue to the writer
// after each write. Else it gives f itself.
func (j *Journal) openForFilling(f vfs.File, name string) (to vfs.File, direct bool, err error) {
	d, can := j.opts.FS.(vfs.DirectOpener)
	if !can || j.opts.Buffered {
		return f, false, nil
	}
	to, err = d.OpenDirect(name, false)
	if errors.Is(err, vfs.ErrNoDirect) {
		return f, false, nil
	}
	return to, err == nil, err
}

func (j *Journal) fill(to vfs.File, direct bool) error {
	zeros := vfs.AlignedBuffer(int(min(MaxBatch, j.fileSize)))
	for off := int64(0); off < j.fileSize; {
		n := min(int64(len(zeros)), j.fileSize-off)
		if _, err := to.WriteAt(zeros[:n], off); err != nil {
			return err
		}
		off += n
		if !direct && off%fillStep == 0 {
			if err := to.Datasync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// grow makes room for a batch larger than the file.
func (f *file) grow(size int64) error {
	if size <= f.size {
		return nil
	}
	if err := f.f.Allocate(size); err != nil {
		return fmt.Errorf("grow journal file %s: %w", f.name, err)
	}
	f.size = size
	return nil
}

// presentSize gives the size of the smallest file in a directory that could be a
// whole one, 0 if there is none: a size chosen by the free space stays.
func presentSize(fs vfs.FS, dir string) (int64, error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, fmt.Errorf("list journal: %w", err)
	}
	var size int64
	for _, name := range names {
		if _, ours := fileID(name); !ours {
			continue
		}
		info, err := fs.Stat(path.Join(dir, name))
		if err != nil {
			return 0, fmt.Errorf("size of journal file: %w", err)
		}
		if info.Size >= minFileSize && (size == 0 || info.Size < size) {
			size = info.Size
		}
	}
	return size, nil
}
