package server

// What lies in a data directory, for those who look into it while no server does.
const (
	LockFile     = "lock"
	IdentityFile = "identity"
	CatalogFile  = "catalog"
	JournalDir   = "journal"
	StreamsDir   = "streams"

	// CatalogGroup is the journal's number of the catalog; other groups have the
	// numbers of their streams.
	CatalogGroup = uint64(metaGroup)
	// IdentitySize is the length of the identity, a little-endian number.
	IdentitySize = 8
)

// Seal puts a checksum before the content of a small file, such as the catalog.
func Seal(b []byte) []byte { return seal(b) }

// Unseal is the inverse of Seal. It is total; its error wraps record.ErrDamaged.
func Unseal(b []byte) ([]byte, error) { return unseal(b) }
