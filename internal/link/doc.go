// Package link is a client's connection below its protocol: what it is read from and
// written to, whether a poller watches it or a goroutine waits for it.
//
// A Link is what a door's connection uses of the one or the other. A Buffer is where its
// reader reads into; it holds no memory while nothing is unread. A Pace says whether what
// it brings is to be read on the poller's loop.
//
// No goroutines, no locks. The doors that serve many clients call it.
package link
