package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

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

// makeDir makes a directory and what is missing above it, durably: a crash must
// not take away what was acknowledged with the directory's own name.
func makeDir(fsys vfs.FS, dir string) error {
	dir = path.Clean(dir)
	var parents []string // of what is missing
	for at := dir; ; at = path.Dir(at) {
		if _, err := fsys.Stat(at); err == nil || at == path.Dir(at) {
			break
		}
		parents = append(parents, path.Dir(at))
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	for _, p := range parents {
		if err := fsys.SyncDir(p); err != nil {
			return err
		}
	}
	return nil
}
