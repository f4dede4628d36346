// Package logtest is the suite that every log of frames passes, on disk or in
// memory: seeded random operations are held against a simple model. It starts no
// goroutine and has no lock. Only tests import it.
package logtest
