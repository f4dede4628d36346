// Package fb is Flatbuffers as the service weir.Stream speaks it: what api/weir.fbs
// says, read where it lies and written in the order in which it is known.
//
// # Reading
//
// The library's accessors trust their buffer: a wrong offset is a panic, or a part
// of another field. Here every table, table of fields, vector and text is held
// against the ends of the buffer as it is read, so that a decoder is total, and what
// it gives points into the buffer and costs no memory of its own. As an offset may
// occur many times, a few bytes can say very much: batches have a budget, from which
// what is said counts each time.
//
// # Writing
//
// A buffer is usually written from its end, once everything is known. Batches here
// grow from their beginning instead: a table of each message with its vectors in the
// body, and the head, which is the root with the vector of the tables, in front of it
// in the end. References lead forward, as the format wants it; so a text that several
// messages have is written behind all of them, once for each run of those.
//
//	head  4     reference to the root
//	      12    table of fields of the root
//	      ..    the root, the vector of references to the n tables, the root's text
//	      ..    zeros up to a multiple of 8
//	body  ..    per message: its table and its vectors, with zeros in front of the
//	            table up to a multiple of 8, and of a vector up to one of 4. A table of
//	            fields lies in front of the first table that uses it.
//	      ..    texts of several messages
//
// Everything here is pure; nothing is safe for use by several goroutines at once. The
// door calls it.
package fb
