// Package memlog keeps the committed frames of a partition in memory, with the
// methods of a log on disk. It owns no file, starts no goroutine and keeps
// nothing beyond the life of the process: State is nil when a log is made.
//
// A trimmed frame goes when all of its records are trimmed. One lock, Log.mu,
// guards the frames; it is held for look-ups only. Partition uses a Log through
// its own interface; stream makes one for streams that live in memory.
package memlog
