// Package monitor tells over HTTP what the rooms say of themselves: the endpoints
// that NATS's tools read (/varz, /connz, /healthz and so on), the probes of
// orchestrators (/livez, /readyz, /startupz) and /metrics for Prometheus. It
// computes nothing of its own: a Source gives snapshots, and a request's
// parameters choose from them. routes.go lists every endpoint.
//
// The server is bound before the data directory is opened and says "starting"
// until Attach and Ready, so that a probe can tell a server that recovers from
// one that is gone.
//
// Its goroutines are those of net/http, which Close ends and joins. Its state is
// atomic; there is no lock. Only assembly uses it.
package monitor
