// Package vfs is the seam between Weir's storage and the operating system's
// files. It owns no state: OS is the real file system, and package faultfs
// gives one in memory that loses, tears and fails on demand. The package starts
// no goroutine and holds no lock. The storage packages of floor 1 and assembly
// may call it; nobody above opens a file of the data directory by other means.
package vfs
