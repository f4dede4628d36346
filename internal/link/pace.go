package link

import "github.com/weirmq/weir/internal/poller"

// bulkFrom is how many bytes at once make a connection one that brings much: it
// does not share a loop with others until some reads brought less.
const bulkFrom, bulkReads = 2 << 10, 16

// Pace is what a connection's reads were like. The zero value is ready.
type Pace struct{ bulk int }

// Read notes a read of n bytes.
func (p *Pace) Read(n int) {
	switch {
	case n > bulkFrom:
		p.bulk = bulkReads
	case p.bulk > 0:
		p.bulk--
	}
}

// Next says on whose goroutine the next input is to be handled.
func (p *Pace) Next() poller.Next {
	if p.bulk > 0 {
		return poller.Apart
	}
	return poller.Wait
}
