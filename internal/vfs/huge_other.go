//go:build !linux

package vfs

// preferHuge does nothing: there is no such request here.
func preferHuge([]byte) {}
