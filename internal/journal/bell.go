package journal

import "time"

// bell wakes the writer. Anybody may ring, which never waits; only the writer waits.
type bell interface {
	// ring ends the wait that there is, or else the next one.
	ring()
	// wait returns once the bell was rung, or when limit is over, negative: never. It may
	// also return for no reason. It says whether the bell was rung.
	wait(limit time.Duration) bool
}

// channelBell is a wait in the runtime.
type channelBell struct {
	rung  chan struct{} // one deep
	timer *time.Timer
}

func newChannelBell() *channelBell {
	b := &channelBell{rung: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	b.timer.Stop()
	return b
}

func (b *channelBell) ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

func (b *channelBell) wait(limit time.Duration) bool {
	if limit >= 0 {
		b.timer.Reset(limit)
		defer b.timer.Stop()
	}
	select {
	case <-b.rung:
		return true
	case <-b.timer.C:
		return false
	}
}
