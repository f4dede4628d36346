// Package backup owns the format of a stream's backup: one stream of bytes with
// the configuration, the consumers and the records of a stream at one moment. It is
// drawn in docs/formats/backup.md. Each item has a checksum that covers all bytes
// before it as well, so that a bit, an item or the end cannot change or be missing
// without a notice.
//
// A backup may be packed, as an S2 stream; a Reader takes both.
//
// A Writer and a Reader work an item at a time and hold no more than one in memory.
// The package is pure: it reads and writes through the interfaces of io only, and has
// no goroutine, lock or clock. What a configuration or a consumer's state means is
// not its business: stream writes and restores them, cmd/weir verifies files.
package backup
