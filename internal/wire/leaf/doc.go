// Package leaf is the protocol of NATS leaf nodes: bytes to operations and back.
//
//	both ways
//	INFO {json}
//	LS+ subject                                   somebody is interested
//	LS+ subject queue weight                      so many members of a queue group are
//	LS- subject [queue]                           nobody is any more
//	LMSG subject [reply] size CRLF payload        a message for all who are in no group
//	LMSG subject + reply queue... size CRLF ...   and for one member of each of these
//	LMSG subject | queue... size CRLF ...         the same, without a reply
//	HMSG the same arguments, header and total in place of size
//	PING, PONG, -ERR 'text'
//
//	from the side that connects
//	CONNECT {json}
//
// Every line and every payload ends with CRLF; a reader forgives a bare LF after a
// control line, any case of a verb, and runs of spaces and tabs. Sizes are decimal, of
// nine digits at most; total counts the header block and the payload.
//
// Parser turns a buffer into operations that point into it. It is total: any bytes give
// an operation, a call for more bytes, or an error. The Append functions write what
// either side sends. Info and Connect are the two JSON documents.
//
// The package owns no state, starts no goroutine, holds no lock and reads no clock. Only
// the door for leaf nodes calls it, as wire.
package leaf
