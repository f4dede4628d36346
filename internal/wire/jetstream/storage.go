package jetstream

// MetaStorage is the key of a stream's metadata that names the storage of somebody else's
// in which it is kept, beside "storage": "file".
const MetaStorage = "weir.storage"

// checkStorage refuses what a storage of somebody else's does not do.
func (c *StreamConfig) checkStorage() *Error {
	if c.Metadata[MetaStorage] == "" {
		return nil
	}
	switch {
	case c.Storage == StorageMemory:
		return invalidStream("a stream in memory can not be kept in another storage")
	case c.Compression != CompressionNone:
		return invalidStream("a stream that is kept in another storage can not be compressed")
	}
	return nil
}
