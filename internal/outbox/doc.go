// Package outbox owns what waits to be written to one connection.
//
// An Outbox holds a queue of pieces and at most one writer at a time, the owner
// of the socket. A sender that finds the socket without an owner becomes it and
// writes at once, without ever blocking; what the socket does not take is left
// to a goroutine that lives until the queue is empty. Nobody waits for a slow
// reader: over the pending limit or the write deadline the outbox dies, drops
// what it holds and says why, once.
//
// Promises: bytes leave in the order of the calls to Send, none twice and, up
// to the outbox's death, none left out. Giving up ownership is the owner's last
// step, taken under mu while the queue is empty.
//
// Goroutines: at most one writer for each Outbox, started by Send and ended
// when nothing is left; Close waits for it. Locks: mu only, never held during a
// write or a callback. Doors and links call it.
package outbox
