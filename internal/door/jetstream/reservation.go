package jetstream

import (
	"errors"
	"math"

	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

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

// roomForBytes promises n streams of a configuration their max_bytes beside what the
// account's other streams were promised, until done is called: when they have them, or
// never will. instead are the streams that they take the place of: these may always
// shrink.
func (c *call) roomForBytes(cfg *wire.StreamConfig, n int, instead ...*stream.Stream) (done func(), werr *wire.Error) {
	most, full := c.account.JetStream.MaxStorage, wire.CodeStorageResourcesExceeded
	if cfg.Storage == wire.StorageMemory {
		most, full = c.account.JetStream.MaxMemory, wire.CodeMemoryResourcesExceeded
	}
	more := max(cfg.MaxBytes, 0)
	if len(instead) > 0 {
		more -= max(instead[0].Config().Limits.MaxBytes, 0)
	}
	if more <= 0 || most < 0 { // no bound: what the others have, who may be many, does not matter
		return func() {}, nil
	}
	if more > math.MaxInt64/int64(n) {
		return nil, wire.Err(full)
	}
	done, err := c.dir.PromiseBytes(c.ctx, c.space.Name(), cfg.Storage == wire.StorageMemory, more*int64(n), most)
	switch {
	case errors.Is(err, stream.ErrMaxBytes):
		return nil, wire.Err(full)
	case err != nil:
		return nil, c.failed(wire.CodeStreamCreate, err)
	}
	return done, nil
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
