// Package redial is what keeping up a connection to servers of others takes: trying them
// in turn, and waiting between two tries. It holds no state, starts no goroutine and takes
// no lock. Doors that connect call it.
package redial
