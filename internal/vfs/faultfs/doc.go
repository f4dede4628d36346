// Package faultfs is a file system in memory for tests of storage. It knows
// what is durable and what is not: writes count after a sync of their file,
// names after a sync of their directory. CrashClone gives the disk that a crash
// could have left, by mode and seed; injectors make chosen calls fail; Corrupt
// flips bits; SetCapacity fills the disk; StopAfter freezes it at an operation.
//
// It is stricter than most disks: neither fsync of a file nor MkdirAll makes a
// name durable, and what a failed sync left unwritten stays unwritten until the
// page is written again.
//
// One mutex guards all state. Injectors run without it, so that they may block.
// There are no goroutines. Only tests may import this package.
package faultfs
