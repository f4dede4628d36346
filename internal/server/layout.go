package server

import (
	"path"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

// What lies in a data directory, for those who look into it while no server does.
const (
	LockFile     = "lock"
	IdentityFile = "identity"
	CatalogFile  = "catalog"
	CatalogCopy  = "catalog.copy"
	JournalDir   = "journal"
	StreamsDir   = "streams"

	// CatalogGroup is the journal's number of the catalog; other groups have the
	// numbers of their streams.
	CatalogGroup = uint64(metaGroup)
	// IdentitySize is the length of the identity, a little-endian number.
	IdentitySize = 8
)

// KeyFiles are the files with the store keys, which both hold the same.
var KeyFiles = []string{keyFile, keyFileCopy}

// ReadKeys opens the store keys in one of KeyFiles with a configured key. It
// writes nothing. The error is fs.ErrNotExist where nothing is encrypted.
func ReadKeys(fsys vfs.FS, dir, name, key string) (*atrest.Keyring, error) {
	b, err := vfs.ReadFile(fsys, path.Join(dir, name))
	if err != nil {
		return nil, err
	}
	keys, _, err := atrest.OpenKeyring(b, key, "", atrest.DefaultCipher())
	return keys, err
}

// Seal puts a checksum before the content of a small file, such as the catalog.
func Seal(b []byte) []byte { return seal(b) }

// Unseal is the inverse of Seal. It is total; its error wraps record.ErrDamaged.
func Unseal(b []byte) ([]byte, error) { return unseal(b) }
