package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// metaProposer puts the catalog's changes into group 0.
type metaProposer struct{ solo *multiraft.Solo }

func (m metaProposer) Propose(kind record.Kind, urgent bool, value any, parts ...[]byte) {
	m.solo.Propose(uint8(kind), urgent, value, parts...)
}

// metaMachine is the catalog as the group sees it.
type metaMachine struct{ *storage }

func (m metaMachine) Apply(e multiraft.Entry) {
	if err := m.catalog.Apply(e.Index, record.Kind(e.Kind), e.Data, e.Value); err != nil {
		m.log.Error("entry of the catalog not applied", "index", e.Index, "error", err)
	}
}

func (m metaMachine) Failed(err error) { m.catalog.Failed(err) }

// Settled has nothing to do: those who wait are told by Apply.
func (m metaMachine) Settled() {}

// Discard has nothing to do: Failed tells those who wait.
func (m metaMachine) Discard(multiraft.Entry) {}

func (s *storage) catalogFile() string { return path.Join(s.o.Dir, "catalog") }

// saveCatalog checkpoints group 0.
func (s *storage) saveCatalog() error {
	index, b := s.catalog.Snapshot()
	if err := writeFile(s.o.FS, s.catalogFile(), seal(b)); err != nil {
		return fmt.Errorf("save the catalog: %w", err)
	}
	s.metaRun.Release(index)
	return nil
}

// restoreCatalog reads the last checkpoint of group 0, if there ever was one.
func (s *storage) restoreCatalog() error {
	b, err := readFile(s.o.FS, s.catalogFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		b, err = unseal(b)
	}
	if err != nil {
		return fmt.Errorf("read the catalog of streams %s: %w", s.catalogFile(), err)
	}
	if err := s.catalog.Restore(b); err != nil {
		return err
	}
	index, _ := s.catalog.Snapshot()
	s.metaRun.StartAt(index)
	return nil
}

// A sealed file is: magic "WSF1", checksum (CRC-32C, 4 bytes) of all that
// follows, content.
const sealMagic = "WSF1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(b []byte) []byte {
	out := append(make([]byte, 0, len(b)+8), sealMagic...)
	out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(b, castagnoli))
	return append(out, b...)
}

// unseal is the inverse of seal. It is total.
func unseal(b []byte) ([]byte, error) {
	if len(b) < 8 || string(b[:4]) != sealMagic || crc32.Checksum(b[8:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, fmt.Errorf("%d bytes without a valid checksum: %w", len(b), record.ErrDamaged)
	}
	return b[8:], nil
}

// writeFile replaces a file atomically and durably.
func writeFile(fsys vfs.FS, name string, b []byte) error {
	tmp := name + ".new"
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

func readFile(fsys vfs.FS, name string) ([]byte, error) {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b := make([]byte, size)
	if size > 0 {
		if _, err := f.ReadAt(b, 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return b, f.Close()
}
