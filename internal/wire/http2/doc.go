// Package http2 is the framing of HTTP/2 as a server of gRPC needs it: frames out of
// bytes, what the frames say, and frames into bytes.
//
// It holds no state of a connection. Header blocks are read by
// golang.org/x/net/http2/hpack; those that are written here use no dynamic table, so
// that blocks of several calls can be made at a time and sent in any order.
//
// No goroutines, no locks. The rpc package of door/liftbridge calls it.
//
// Source: RFC 9113 (frames in sections 4 and 6, error codes in 7), RFC 7541 (header
// fields in section 6).
package http2
