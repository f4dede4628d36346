package journal

import (
	"sync/atomic"
	"time"
)

// SyncBuckets are the upper bounds of the buckets of Metrics.SyncLatency; one
// more bucket counts what is slower.
var SyncBuckets = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	50 * time.Millisecond, 200 * time.Millisecond, time.Second,
}

// Metrics counts what the journal does. All fields may be read at any time.
type Metrics struct {
	Appends     atomic.Uint64 // entries taken by Append
	Batches     atomic.Uint64 // batches written
	Entries     atomic.Uint64 // entries written
	Bytes       atomic.Uint64 // bytes written, padding included
	Extents     atomic.Uint64 // entries whose data went to extents
	ExtentBytes atomic.Uint64 // bytes of them
	Syncs       atomic.Uint64 // syncs, or writes that sync
	SyncNanos   atomic.Uint64 // time spent in them
	SyncStarted atomic.Int64  // Unix nanoseconds of the one running, else 0
	Failures    atomic.Uint64 // failed writes, syncs and preparations
	Files       atomic.Int64  // files in the directory
	LiveBytes   atomic.Int64  // bytes of batches not yet released, extents apart
	SyncLatency [len(SyncBuckets) + 1]atomic.Uint64

	lastError atomic.Pointer[string]
}

// LastError is the text of the last failure, empty if there was none.
func (m *Metrics) LastError() string {
	if s := m.lastError.Load(); s != nil {
		return *s
	}
	return ""
}

func (m *Metrics) failed(err error) {
	m.Failures.Add(1)
	text := err.Error()
	m.lastError.Store(&text)
}

func (m *Metrics) synced(d time.Duration) {
	m.Syncs.Add(1)
	m.SyncNanos.Add(uint64(d))
	i := 0
	for i < len(SyncBuckets) && d > SyncBuckets[i] {
		i++
	}
	m.SyncLatency[i].Add(1)
}
