// Package auth says who a client is and what it may do. An Authenticator is made
// once of the configured users and is immutable; Permissions are compiled once
// for a user, and given to a connection as a Grant, which also remembers the
// replies that the connection may send.
//
// Whatever is configured closes the server to those who show nothing: only where
// nothing at all is configured, or a user for those without credentials is named,
// may they in. A wrong credential never falls back to that user.
//
// The package starts no goroutine and never writes to a client. A Grant has one
// lock, over the replies it remembers. Doors and assembly may use it.
package auth
