package server

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"

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

func (s *storage) catalogFile() string { return path.Join(s.o.Dir, CatalogFile) }

// saveCatalog checkpoints group 0, twice: without the catalog nobody knows whose
// the streams are. There is no copy where space is short, for an older one would
// miss entries that are released.
func (s *storage) saveCatalog() error {
	index, b := s.catalog.Snapshot()
	b = seal(b)
	spare := path.Join(s.o.Dir, CatalogCopy)
	err := writeFile(s.o.FS, spare, b)
	if errors.Is(err, syscall.ENOSPC) {
		err = errors.Join(s.o.FS.RemoveAll(spare+".new"), s.o.FS.RemoveAll(spare), s.o.FS.SyncDir(s.o.Dir))
	}
	if err == nil {
		err = writeFile(s.o.FS, s.catalogFile(), b)
	}
	if err != nil {
		return fmt.Errorf("save the catalog: %w", err)
	}
	s.metaRun.Release(index)
	return nil
}

// restoreCatalog reads the last checkpoint of group 0, if there ever was one.
func (s *storage) restoreCatalog() error {
	b, err := s.readCatalog(CatalogFile)
	if err != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, record.ErrDamaged)) {
		spare, serr := s.readCatalog(CatalogCopy)
		switch {
		case serr == nil:
			s.log.Error("catalog of streams cannot be read: its copy is used", "file", s.catalogFile(), "error", err)
			b, err = spare, nil
		case errors.Is(err, fs.ErrNotExist) && errors.Is(serr, fs.ErrNotExist):
			s.born = true
			return nil
		default:
			err = errors.Join(err, serr)
		}
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

func (s *storage) readCatalog(name string) ([]byte, error) {
	b, err := vfs.ReadFile(s.o.FS, path.Join(s.o.Dir, name))
	if err != nil {
		return nil, err
	}
	return unseal(b)
}

// wholeCatalog refuses a directory whose catalog is gone: without a checkpoint of
// it all its entries must be in the journal. Numbers of lost streams would be given
// again, and files be taken for those of deleted streams.
func (s *storage) wholeCatalog() error {
	if !s.born || s.firstMeta == 1 {
		return nil
	}
	logs, err := s.volume.Logs()
	if err != nil {
		return err
	}
	if len(logs) == 0 && s.journal.Recovered().Entries == 0 {
		return nil
	}
	return fmt.Errorf("%s is missing, and the journal does not have all of it: %w", s.catalogFile(), record.ErrDamaged)
}
