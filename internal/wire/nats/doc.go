// Package nats is the NATS client protocol: bytes to operations and back.
//
//	client to server                            server to client
//	CONNECT {json}                              INFO {json}
//	PUB subject [reply] size CRLF payload       MSG subject sid [reply] size CRLF payload
//	HPUB subject [reply] header total CRLF ...  HMSG subject sid [reply] header total CRLF ...
//	SUB subject [queue] sid                     +OK
//	UNSUB sid [max]                             -ERR 'text'
//	PING, PONG                                  PING, PONG
//
// Every line and every payload ends with CRLF. A reader forgives a bare LF after
// a control line, any case of a verb, and runs of spaces and tabs between
// arguments. Sizes are decimal, of nine digits at most; total counts the header
// block and the payload.
//
// Parser turns a buffer into operations that point into it. It is total: any
// bytes give an operation, a call for more bytes, or an *Error from the table in
// errors.go, which says what the client is told and how the closed connection is
// accounted for. The Append functions write what a server sends. Connect and Info
// are the two JSON documents.
//
// The package owns no state, starts no goroutine, holds no lock and reads no
// clock. Publishing and delivering allocate nothing. Only doors call it, as wire.
package nats
