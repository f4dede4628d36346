package jetstream

import (
	"errors"
	"slices"

	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// consumerUnpin ends the pin of a group's client.
func consumerUnpin(c *call) (any, *wire.Error) {
	var r wire.UnpinRequest
	if werr := c.decoder.Required(c.body, &r); werr != nil {
		return nil, werr
	}
	if werr := r.Check(); werr != nil {
		return nil, werr
	}
	_, con, werr := c.lookupConsumer()
	if werr != nil {
		return nil, werr
	}
	if !slices.Contains(consumerConfig(con).PriorityGroups, r.Group) {
		return nil, wire.Err(wire.CodeInvalidPriorityGroup)
	}
	if err := con.Unpin(c.ctx, r.Group); err != nil {
		return nil, wire.Err(wire.CodeConsumerNotFound)
	}
	resp := c.Kind.Head(nil)
	return &resp, nil
}

// consumerReset has a consumer deliver again from a sequence on.
func consumerReset(c *call) (any, *wire.Error) {
	var r wire.ResetRequest
	if len(c.body) > 0 {
		lenient := c.decoder
		lenient.Lenient = true // clients are used to it here
		if werr := lenient.Required(c.body, &r); werr != nil {
			return nil, werr
		}
	}
	_, con, werr := c.lookupConsumer()
	if werr != nil {
		return nil, werr
	}
	if werr := consumerConfig(con).CheckReset(r.Seq, con.Config().Start); werr != nil {
		return nil, werr
	}
	i, seq, err := con.Reset(c.ctx, r.Seq)
	switch {
	case errors.Is(err, stream.ErrNotFound):
		return nil, wire.Err(wire.CodeConsumerNotFound)
	case err != nil:
		return nil, c.failed(wire.CodeInvalidReset, err)
	}
	return &wire.ConsumerResetResponse{Response: c.Kind.Head(nil), ConsumerInfo: c.describe(con, &i), ResetSeq: seq}, nil
}

// groupState says who is pinned, for consumers with groups.
func groupState(cfg *wire.ConsumerConfig, i *stream.ConsumerInfo) []wire.PriorityGroupState {
	if cfg.PriorityPolicy == wire.PriorityNone {
		return nil
	}
	st := wire.PriorityGroupState{Group: cfg.PriorityGroups[0]}
	if i.Pin.ID != "" {
		st = wire.PriorityGroupState{Group: i.Pin.Group, PinnedClientID: i.Pin.ID, PinnedTime: wire.Time(i.Pin.Since)}
	}
	return []wire.PriorityGroupState{st}
}
