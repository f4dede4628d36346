// Package logtest is the suite that every logstore.Log passes: seeded random operations
// are held against a simple model, with crashes between them. It starts no goroutine and
// has no lock. Only tests import it.
package logtest
