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

// Round is what the sockets of one loop share. It ends after some of their Inputs have
// been called there, before the loop waits, and before one of them is called
// elsewhere: no call of an Input that took part overlaps with End, nor comes between
// its call on the loop and End.
type Round interface {
	End()
}

// Helper has work that Inputs cause, and that is done soonest by the goroutine which runs
// them: waking another one takes as long as the work. It is asked where a loop has one busy
// connection only, which waits for that work. Its methods may be called by any goroutine.
type Helper interface {
	// Expect says that an Input is about to be called, and that Due follows. false: no help
	// is wanted, and Due does not follow.
	Expect() bool
	// Due ends that. It says whether there is work: Help or Leave follows then.
	Due() bool
	// Help does the work, outside of the round. It may take as long as a write to the disk:
	// if it takes longer another goroutine goes on with the loop.
	Help()
	// Leave leaves the work to whoever does it otherwise.
	Leave()
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
