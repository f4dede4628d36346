package seglog

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Remove removes all files of a log that is not open. They may be damaged. After a crash,
// and after an error, either the log is whole or it is gone; what is then left of its files
// goes with the next Open. A log that is open is refused with ErrOpen. Files that are found
// to be another log's, which somebody put there, stay: ErrForeign.
func (v *Volume) Remove(id record.Identity) error {
	v.mu.Lock()
	_, open := v.logs[id]
	v.mu.Unlock()
	if open {
		return fmt.Errorf("remove log %s: %w", dirName(id), ErrOpen)
	}
	l := newLog(v, id)
	if err := l.allOwn(); err != nil {
		return fmt.Errorf("remove log %s: %w", dirName(id), err)
	}
	return v.removeDir(l.dir)
}

// allOwn looks for files of other logs in the directory of one that is not open. What a
// damaged one was nobody knows: it is taken for the log's own.
func (l *Log) allOwn() error {
	names, err := l.v.fs.List(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list its directory: %w", err)
	}
	if b, err := l.readManifest(); err == nil {
		if m, err := parseManifest(b); err == nil && m.id != l.id {
			return fmt.Errorf("%s is of %s: %w", l.path(manifestName), dirName(m.id), ErrForeign)
		}
	}
	for _, name := range names {
		if _, ok := segmentNumber(name); !ok {
			continue
		}
		if id, err := readOwner(l.v.fs, l.path(name)); err == nil && id != l.id {
			return fmt.Errorf("%s is of %s: %w", l.path(name), dirName(id), ErrForeign)
		}
	}
	return nil
}

// readOwner reads in a segment's header which log it is of.
func readOwner(disk vfs.FS, name string) (record.Identity, error) {
	f, err := disk.OpenRead(name)
	if err != nil {
		return record.Identity{}, err
	}
	defer closeAll([]vfs.File{f})
	b := make([]byte, segmentHeader)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return record.Identity{}, fmt.Errorf("read the header of %s: %w", name, err)
	}
	id, _, _, err := parseSegmentHeader(b)
	return id, err
}

// removeDir removes a log's directory, whole or not at all.
func (v *Volume) removeDir(dir string) error {
	dropped := dir + droppedSuffix
	if err := v.fs.RemoveAll(dropped); err != nil {
		return fmt.Errorf("drop log: %w", err)
	}
	err := v.fs.Rename(dir, dropped)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("drop log: %w", err)
	}
	if err := v.fs.SyncDir(v.streams); err != nil {
		return fmt.Errorf("drop log: %w", err)
	}
	if err := v.fs.RemoveAll(dropped); err != nil {
		return fmt.Errorf("remove a dropped log: %w", err)
	}
	return nil
}
