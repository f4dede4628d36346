// Package metrics has what rooms count with and how they say what it means. A
// Counter, a Gauge or a Histogram is a field of a room's own Metrics; a Set names
// them, with a help text each, as data. Whoever shows metrics reads a Set and
// knows no room.
//
// Counting is one atomic operation and allocates nothing. The package starts no
// goroutine and knows no protocol; a Set has one lock, over its list, which is
// not held while the values are read. Any package may use it.
package metrics
