package poller

import "errors"

// ErrUnsupported says that this system or this connection cannot be polled.
var ErrUnsupported = errors.New("polling is not supported here")

// Input handles what arrives at one socket.
type Input interface {
	// Ready is called when there may be something to read. It reads without
	// waiting and says how to go on. It may run on a loop that serves others, too:
	// whoever has to wait, or to work for long, calls Detach first.
	Ready(s *Socket) Next
}

// Next is how to go on with a socket.
type Next uint8

// What Ready returns.
const (
	Wait  Next = iota // for input or Wake; the loop may call
	Apart             // for input or Wake; a goroutine of its own is to call, and stays
	Again             // at once, on a goroutine of its own
	Done              // never
)
