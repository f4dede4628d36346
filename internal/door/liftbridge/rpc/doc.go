// Package rpc serves gRPC calls: HTTP/2 below, the services of generated code above.
//
// A Server takes connections over, on a poller where there is one. A connection's frames
// are read by one goroutine at a time. Most calls have a goroutine of their own, which
// receives and sends as with grpc-go; a call that brings many messages can be a Feed,
// whose messages are handled by the goroutine that reads them, without a copy, a queue or
// a wake-up each. What a call sends may be gathered (Out), so that many messages share a
// frame; Post never waits, Send waits while the client takes nothing.
//
// Why it is not grpc-go's server: that one costs five goroutine switches and several
// system calls for a message that is answered, more than all the rest of the way to the
// disk and back; see docs/performance.md. The interfaces are grpc-go's, so that generated
// code, the health service and reflection stay what they are.
//
// Promises: messages of a call are sent in the order of Send and Post, and received in
// theirs. A connection's memory is bounded: by flow control, by mostHeld for what is
// received and not taken, by mostQueued for what each call sends, by mostAnswers and
// mostRunning for calls with one answer, which wait for their turn while the client takes
// none, by mostPending for frames that it is answered with and does not read. Who breaks
// the protocol is told with GOAWAY or RST_STREAM; what other calls of the connection have
// sent is not lost.
//
// Goroutines: one that accepts, one for each connection that is not polled, one for each
// call that is handled and up to mostIdle that wait for the next call. Stop and
// GracefulStop join all. Locks: Server.mu, conn.mu and Call.mu, never together but
// conn.mu before Call.mu; never held during I/O or a call of a handler.
//
// Source: RFC 9113, and "gRPC over HTTP2" of the gRPC project for what is in the frames.
package rpc
