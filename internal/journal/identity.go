package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"path"
	"slices"

	"github.com/weirmq/weir/internal/vfs"
)

// The identity file, 20 bytes: magic "WJID", format version (4 bytes), identity
// (8), CRC-32C of what precedes (4).
const (
	identityName  = "identity"
	identityMagic = "WJID"
	identitySize  = 20
)

// errIdentity says that an identity file is damaged.
var errIdentity = errors.New("journal identity file is damaged")

// ownIdentity reads the directory's identity, or draws one for a directory
// without files. If only the identity file is lost or bad, the identity that
// the first batches of all files agree on counts.
func ownIdentity(fs vfs.FS, dir string) (uint64, error) {
	id, err := readIdentity(fs, dir)
	if err == nil {
		return id, nil
	}
	missing := errors.Is(err, iofs.ErrNotExist)
	if !missing && !errors.Is(err, errIdentity) {
		return 0, fmt.Errorf("read journal identity: %w", err)
	}
	id, any, adoptErr := agreedIdentity(fs, dir)
	if adoptErr != nil {
		return 0, errors.Join(err, adoptErr)
	}
	if !any {
		id = drawIdentity()
	}
	return id, writeIdentity(fs, dir, id)
}

func drawIdentity() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:])
		if id := le.Uint64(b[:]); id != 0 {
			return id
		}
	}
}

func parseIdentity(b []byte) (uint64, error) {
	if len(b) != identitySize || string(b[:4]) != identityMagic {
		return 0, errIdentity
	}
	if crc32.Checksum(b[:16], castagnoli) != le.Uint32(b[16:]) {
		return 0, errIdentity
	}
	if v := le.Uint32(b[4:]); v != formatVersion {
		return 0, fmt.Errorf("%w: version %d of the identity file", errNewer, v)
	}
	return le.Uint64(b[8:]), nil
}

func readIdentity(fs vfs.FS, dir string) (uint64, error) {
	f, err := fs.OpenRead(path.Join(dir, identityName))
	if err != nil {
		return 0, err
	}
	b := make([]byte, identitySize+1)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return parseIdentity(b[:n])
}

// writeIdentity replaces the identity file whole and makes it durable.
func writeIdentity(fs vfs.FS, dir string, id uint64) error {
	b := make([]byte, identitySize)
	copy(b, identityMagic)
	le.PutUint32(b[4:], formatVersion)
	le.PutUint64(b[8:], id)
	le.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
	name := path.Join(dir, identityName)
	if err := fs.RemoveAll(name + newSuffix); err != nil {
		return fmt.Errorf("write journal identity: %w", err)
	}
	f, err := fs.Create(name + newSuffix)
	if err != nil {
		return fmt.Errorf("write journal identity: %w", err)
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fs.Rename(name+newSuffix, name)
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write journal identity: %w", err)
	}
	return nil
}

// agreedIdentity gives the identity in the first blocks of all files. any is
// false if no file has a batch there.
func agreedIdentity(fs vfs.FS, dir string) (id uint64, any bool, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, false, fmt.Errorf("list journal: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { _, ours := fileID(name); return !ours })
	for _, name := range names {
		h, ok, err := firstHeader(fs, path.Join(dir, name))
		if err != nil {
			return 0, false, err
		}
		if !ok {
			continue
		}
		if any && h.identity != id {
			return 0, false, fmt.Errorf("%w: %s", ErrForeign, name)
		}
		id, any = h.identity, true
	}
	return id, any, nil
}

func firstHeader(fs vfs.FS, name string) (h header, ok bool, err error) {
	f, err := fs.OpenRead(name)
	if err != nil {
		return header{}, false, fmt.Errorf("open journal file: %w", err)
	}
	size, err := f.Size()
	if err == nil {
		r := reader{f: f, name: name, size: size &^ (blockSize - 1), win: new(window)}
		var b batch
		var bad error
		b, bad, err = r.head(0)
		h, ok = b.header, bad == nil && err == nil
	}
	return h, ok, errors.Join(err, f.Close())
}
