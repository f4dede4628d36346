// Package stan is the wire format of NATS Streaming between clients and their
// server: protobuf messages in the bodies of NATS messages, the subjects that these
// go to, and the texts of errors, which clients compare.
//
// Every message has an Append and a Decode function. Decoding is total: any bytes
// give a message or ErrMalformed, and it uses no more memory than the input is
// long. Fields that a message does not know are skipped, as protobuf wants it;
// a known field of another wire type is an error. What stands on the path of every
// message (PubMsg, Ack) borrows its bytes from the input.
//
// It also reads what the old server stored in files (store.go), and has what an import
// and Weir's server say to each other of it: how a channel's stream is named and marked
// (stream.go), and a durable that is handed over (adopt.go).
//
// The package holds no state, starts no goroutine and has no lock. Only doors and
// tools import it.
package stan
