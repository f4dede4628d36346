// Package server assembles Weir: it reads the configuration, builds the rooms,
// starts and stops them in order, and handles the process's signals. It is the
// only package that knows all rooms and the whole configuration, and it has no
// logic beyond wiring.
//
// # Life
//
// Start: configuration, log, HTTP bound ("starting"), directory lock, segments,
// catalog, journal's replay, streams serve, doors listen, addresses printed,
// ready. Stop: streams take nothing more and answer what they took, clients are
// written out and closed, services end, everything is checkpointed, the journal
// ends, the lock is given back; HTTP last.
//
// # Goroutines
//
// The signal loop runs on Main's goroutine. rooms.start runs the shards, the
// segments' flusher, the checkpoints and the scrub under one errgroup, which close
// joins; storage.run joins the merging of the subject indexes, the checkpoints of
// those that hold much in memory, and the reclaimer; the doors, the workers and the journal join their
// own.
package server
