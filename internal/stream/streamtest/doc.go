// Package streamtest is a node without doors for tests: a Directory of streams on
// a journal and segments in a file system of faultfs, or any other, and clients
// that publish and subscribe in its subject spaces. A node can be stopped in
// order, or crash and go on with what a crash leaves of its disk.
//
// The goroutines are those of the rooms; Stop and Crash join them. Only tests
// import it.
package streamtest
