// Package chunk lends byte buffers by size class. A chunk has one owner until
// Retain makes more; the last Free gives it back to its pool.
//
// The package starts no goroutine. Its pools are safe for concurrent use; a
// chunk's bytes are written by its first owner only, before it is shared.
// Everything that moves messages may call it.
package chunk
