//go:build !linux

package journal

// newBell gives a wait in the runtime where threads cannot be woken otherwise.
func newBell(bool) bell { return newChannelBell() }
