//go:build !linux

package vfs

import "os"

// OpenDirect implements DirectOpener: there is no direct write here.
func (OS) OpenDirect(string, bool) (File, error) { return nil, ErrNoDirect }

func datasync(f *os.File) error { return f.Sync() }

// allocate makes the file long enough; nothing reserves its blocks here.
func allocate(f *os.File, size int64) error { return extend(f, size) }
