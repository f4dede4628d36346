// Package sealed is a file system whose new files are encrypted in pages, for what
// is read at any offset, or rarely: the runs of subject indexes, the catalog. It
// lies over another file system; with no keys it is that one. Files that were
// written in the clear before are read as they are.
//
// Each write of a page takes another nonce, so that pages may be written again.
// That is not atomic: a crash may cost the page, and files that are synced and then
// written to again do not belong here. Each page and the head of the file are under
// a checksum and under the cipher's tag; what does not verify is an error that wraps
// record.ErrDamaged.
//
// No goroutines and no locks: a file may be read by several goroutines, and is
// written by one. Assembly makes it and gives it to those who take a vfs.FS.
package sealed
