package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/vfs"
)

// KindsDir is the directory of streams that are kept in a storage of somebody else's.
const KindsDir = "storages"

// StoreKind opens the stores of streams that name it.
type StoreKind struct {
	Open       func(dir string) (partition.Store, error)
	Durability string // what a checkpoint is worth, for people
}

// kinds are the storages of this program by name.
var kinds = struct {
	sync.Mutex
	by map[string]StoreKind
}{by: map[string]StoreKind{}}

// RegisterStore makes a storage known, before the server runs. It panics if the name is
// no word or is taken.
func RegisterStore(name string, k StoreKind) {
	kinds.Lock()
	defer kinds.Unlock()
	if _, taken := kinds.by[name]; taken || !wordOf(name) {
		panic(fmt.Sprintf("server: %q can not be the name of another storage", name))
	}
	kinds.by[name] = k
}

func wordOf(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// kindOf is the storage that a stream names; empty: the server's own.
func kindOf(spec *meta.Spec) string {
	var c stream.Config
	if json.Unmarshal(spec.Config, &c) != nil {
		return "" // opening the stream says so
	}
	return c.Kind
}

// kindStore is a store with a directory of its own, which goes with it.
type kindStore struct {
	partition.Store
	fs  vfs.FS
	dir string
}

// Drop implements partition.Store.
func (s kindStore) Drop() error { return errors.Join(s.Store.Drop(), s.fs.RemoveAll(s.dir)) }

// openKind opens a stream's store in the storage of that name.
func (s *storage) openKind(kind string, spec *meta.Spec) (partition.Store, error) {
	kinds.Lock()
	k, known := kinds.by[kind]
	kinds.Unlock()
	if !known {
		return nil, noKind(spec, kind)
	}
	if s.keys != nil {
		return nil, fmt.Errorf("stream %q is kept in the storage %q, which does not encrypt as is configured", spec.Name, kind)
	}
	dir := path.Join(s.o.Dir, KindsDir, kind, strconv.FormatUint(spec.ID, 10)+"-"+strconv.FormatUint(uint64(spec.Incarnation), 10))
	if err := makeDir(s.disk, dir); err != nil {
		return nil, fmt.Errorf("make the directory of stream %q: %w", spec.Name, err)
	}
	st, err := k.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open stream %q in the storage %q: %w", spec.Name, kind, err)
	}
	s.log.Info("stream kept in another storage", "stream", spec.Name, "account", spec.Account, "storage", kind, "durability", k.Durability)
	return kindStore{st, s.disk, dir}, nil
}

func noKind(spec *meta.Spec, kind string) error {
	return fmt.Errorf("stream %q is kept in the storage %q, which this server does not have", spec.Name, kind)
}

// kindsThere says by an error which stream of another storage could not be opened. Whoever
// builds the program mends that at once; a server that went on would have to keep its
// journal from then on, see errNotOpen.
func (s *storage) kindsThere() error {
	kinds.Lock()
	defer kinds.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, spec := range s.catalog.Streams() {
		kind := kindOf(&spec)
		if kind == "" || s.groups[spec.ID] != nil {
			continue
		}
		if _, known := kinds.by[kind]; !known {
			return noKind(&spec, kind)
		}
		return fmt.Errorf("stream %q of the storage %q is not there", spec.Name, kind)
	}
	return nil
}

// removeKindOrphans removes what a crash between the deletion of a stream and that of
// its directory left in other storages.
func (s *storage) removeKindOrphans() error {
	top := path.Join(s.o.Dir, KindsDir)
	names, err := s.disk.List(top)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, kind := range names {
		dirs, lerr := s.disk.List(path.Join(top, kind))
		err = errors.Join(err, lerr)
		for _, dir := range dirs {
			number, _, _ := strings.Cut(dir, "-")
			id, perr := strconv.ParseUint(number, 10, 64)
			if perr != nil || !s.catalog.Dropped(id) {
				continue
			}
			if rerr := s.disk.RemoveAll(path.Join(top, kind, dir)); rerr != nil {
				s.log.Warn("files of a deleted stream stay", "id", id, "storage", kind, "error", rerr)
			}
		}
	}
	return err
}
