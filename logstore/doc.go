// Package logstore lets a program of yours keep streams of Weir in a storage of its own:
// it writes a Log, registers it under a name, and runs the server.
//
// It is experimental: until Weir has its version 1 what is here may change. A stream in
// such a storage has one copy; what that is worth is what its storage says of itself.
//
// # Who keeps what
//
// A publish is acknowledged when the server's journal has it, as for every stream. A Log
// is where records live afterwards: it is given sealed frames in order, answers readers
// from them, and makes all it was given durable when it is asked for a checkpoint. Then
// the journal lets go of them. After a crash the Log is as its last checkpoint left it,
// and the server gives it what came since again.
//
// Package logtest is the suite that a Log passes; package dirlog is a small example.
//
// # Goroutines and locks
//
// The package starts no goroutine. store.mu guards why a log has failed, and its state; it
// is held for that only. Append and Trim of one Log are called by one goroutine, Checkpoint
// by another, one at a time and maybe during an Append, and the readers by any.
package logstore
