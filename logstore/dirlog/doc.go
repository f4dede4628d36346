// Package dirlog is an example of a logstore.Log: what is appended waits in memory, and a
// checkpoint writes it into a file of its own, syncs that, and replaces the file that says
// which ones count. It is short rather than fast: files are never merged, and a stream
// that takes little has many.
//
// It starts no goroutine. log.mu guards the list of frames and is not held while files are
// read or written.
package dirlog
