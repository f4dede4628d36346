package sealed

import (
	"errors"
	"fmt"
	"io"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// errWrite says that an encrypted file cannot be opened for writing again.
var errWrite = errors.New("an encrypted file is not written to again")

// FS encrypts the files that it creates.
type FS struct {
	vfs.FS
	keys *atrest.Keyring
}

// New gives a file system over another one. Without keys, nil, it creates files in
// the clear, and opening an encrypted one is an error that wraps atrest.ErrNoKey.
func New(fsys vfs.FS, keys *atrest.Keyring) *FS { return &FS{fsys, keys} }

// Create implements vfs.FS.
func (f *FS) Create(name string) (vfs.File, error) {
	file, err := f.FS.Create(name)
	if err != nil || f.keys == nil {
		return file, err
	}
	s := f.keys.PageSealer()
	if _, err := file.WriteAt(s.Head(), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("write head of an encrypted file: %w", err), file.Close(), f.Remove(name))
	}
	sf, err := open(file, s.Head(), f.keys)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	sf.sealer = s
	return sf, nil
}

// OpenRead implements vfs.FS.
func (f *FS) OpenRead(name string) (vfs.File, error) {
	file, err := f.FS.OpenRead(name)
	if err != nil {
		return nil, err
	}
	head := make([]byte, atrest.PagesHead)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(fmt.Errorf("read head of a file: %w", err), file.Close())
	}
	if !atrest.IsPages(head[:n]) {
		return file, nil
	}
	sf, err := open(file, head[:n], f.keys)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), file.Close())
	}
	return sf, nil
}

// OpenWrite implements vfs.FS. It is for files in the clear.
func (f *FS) OpenWrite(name string) (vfs.File, error) {
	file, err := f.OpenRead(name)
	if err != nil {
		return nil, err
	}
	_, is := file.(*sealedFile)
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("close file: %w", err)
	}
	if is {
		return nil, fmt.Errorf("open %s: %w", name, errWrite)
	}
	return f.FS.OpenWrite(name)
}

// damaged makes damage of package atrest damage of a log.
func damaged(err error) error {
	if errors.Is(err, atrest.ErrDamaged) {
		return fmt.Errorf("%w: %w", record.ErrDamaged, err)
	}
	return err
}
