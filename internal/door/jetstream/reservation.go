package jetstream

import (
	"math"
	"slices"

	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// reserved sums up, in bytes, what the account's streams may grow to: the max_bytes of
// those that have one, but for the streams in but.
func (c *call) reserved(but ...*stream.Stream) (memory, storage int64) {
	for _, s := range c.dir.List(c.space.Name()) {
		cfg := s.Config()
		switch most := max(cfg.Limits.MaxBytes, 0); {
		case slices.Contains(but, s):
		case cfg.Memory:
			memory += min(most, math.MaxInt64-memory)
		default:
			storage += min(most, math.MaxInt64-storage)
		}
	}
	return memory, storage
}

// checkMaxBytes holds a stream's max_bytes against what the account asks of each stream.
func (c *call) checkMaxBytes(cfg *wire.StreamConfig) *wire.Error {
	l := c.account.JetStream
	most := l.MaxStorageStream
	if cfg.Storage == wire.StorageMemory {
		most = l.MaxMemoryStream
	}
	switch {
	case l.NeedsMaxBytes && cfg.MaxBytes <= 0:
		return wire.Err(wire.CodeMaxBytesRequired)
	case most > 0 && cfg.MaxBytes > most:
		return wire.Err(wire.CodeMaxStreamBytesExceeded)
	}
	return nil
}

// roomForBytes says whether n streams of a configuration may be promised their
// max_bytes beside what the account's other streams were promised. instead are the
// streams that they take the place of: these may always shrink.
func (c *call) roomForBytes(cfg *wire.StreamConfig, n int, instead ...*stream.Stream) *wire.Error {
	if cfg.MaxBytes <= 0 || len(instead) > 0 && instead[0].Config().Limits.MaxBytes >= cfg.MaxBytes {
		return nil
	}
	most, full := c.account.JetStream.MaxStorage, wire.CodeStorageResourcesExceeded
	if cfg.Storage == wire.StorageMemory {
		most, full = c.account.JetStream.MaxMemory, wire.CodeMemoryResourcesExceeded
	}
	if most < 0 {
		return nil // no bound: what the others have, who may be many, does not matter
	}
	memory, taken := c.reserved(instead...)
	if cfg.Storage == wire.StorageMemory {
		taken = memory
	}
	if cfg.MaxBytes > (most-taken)/int64(n) {
		return wire.Err(full)
	}
	return nil
}

// maxAckPending is the bound of what a consumer may leave unacknowledged, the server's
// or the account's; 0 for none.
func (c *call) maxAckPending() int {
	of, server := c.account.JetStream.MaxAckPending, max(c.o.MaxAckPending, 0)
	switch {
	case of <= 0:
		return server
	case server == 0:
		return of
	}
	return min(of, server)
}
