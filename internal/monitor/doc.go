// Package monitor tells over HTTP what the rooms say of themselves: the endpoints
// that NATS's tools read (/varz, /connz, /subsz, /accountz, /jsz, /healthz), the
// probes of orchestrators (/livez, /readyz, /startupz) and /metrics for
// Prometheus. It computes nothing of its own: a Source gives snapshots.
//
// The server is bound before the data directory is opened and says "starting"
// until Attach and Ready, so that a probe can tell a server that recovers from
// one that is gone. Run is its only goroutine beside those of net/http, which
// Close ends. State is atomic; there is no lock.
package monitor
