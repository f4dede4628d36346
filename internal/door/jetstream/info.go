package jetstream

import (
	"time"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// described is what a stream of another door's dialect is here.
type described interface{ JetStream() *wire.StreamConfig }

// config is a stream's configuration in the protocol's terms. It must not be
// changed.
func config(s *stream.Stream) *wire.StreamConfig {
	if d, ok := s.Native().(described); ok {
		return d.JetStream()
	}
	return s.Native().(*wire.StreamConfig)
}

// consumerConfig is a consumer's configuration in the protocol's terms.
func consumerConfig(c *stream.Consumer) *wire.ConsumerConfig {
	if cfg, ok := c.Native().(*wire.ConsumerConfig); ok {
		return cfg
	}
	return foreignConfig(c)
}

// streamInfo describes a stream. The metadata of the server is left out of lists.
func (d *Door) streamInfo(s *stream.Stream, list bool) *wire.StreamInfo {
	cfg := *config(s)
	if !list {
		cfg.Metadata = wire.WithVersion(cfg.Metadata, d.o.Version)
	}
	info := &wire.StreamInfo{
		Config: cfg, Created: wire.Time(s.Created()), State: streamState(s), TimeStamp: time.Now().UTC(),
	}
	addOrigins(info, s)
	return info
}

func streamState(s *stream.Stream) wire.StreamState {
	out := stateOf(s.Partition(), s.Partition().Status(), s.ConsumerCount())
	if out.LastSeq == 0 && config(s).FirstSeq == 1 {
		out.FirstSeq = 1
	}
	return out
}

// stateOf describes what a partition holds, or held.
func stateOf(p *partition.Partition, st partition.Status, consumers int) wire.StreamState {
	out := wire.StreamState{
		Msgs: st.Records, Bytes: st.Bytes, FirstSeq: st.First, LastSeq: st.Last, LastTime: wire.Time(st.LastTime),
		NumSubjects: st.Subjects, NumDeleted: int(st.Deleted), Consumers: consumers,
	}
	if st.Last == 0 {
		out.FirstSeq = 0 // nothing was ever stored
	}
	if st.Records > 0 {
		if v, err := p.NextOf("", st.First); err == nil {
			out.FirstSeq, out.FirstTime = v.Seq, wire.Time(v.Time)
		}
	}
	return out
}

// consumerInfo describes a consumer.
func (d *Door) consumerInfo(c *call, con *stream.Consumer) (*wire.ConsumerInfo, *wire.Error) {
	i, err := con.Info(c.ctx)
	if err != nil {
		return nil, wire.Err(wire.CodeConsumerNotFound)
	}
	return d.describe(con, &i), nil
}

// describe puts a consumer's state into the protocol's terms.
func (d *Door) describe(con *stream.Consumer, i *stream.ConsumerInfo) *wire.ConsumerInfo {
	cfg := *consumerConfig(con)
	cfg.Metadata = wire.WithVersion(cfg.Metadata, d.o.Version)
	now := time.Now()
	info := &wire.ConsumerInfo{
		Stream: con.Stream().Name(), Name: con.Name(), Created: wire.Time(con.Created()), Config: &cfg,
		Delivered:     sequence(i.Delivered, i.LastDelivered),
		AckFloor:      sequence(i.Floor, i.LastAcked),
		NumAckPending: i.AckPending, NumRedelivered: i.Redelivered, NumWaiting: i.Waiting,
		NumPending: i.Pending, PushBound: i.Bound, TimeStamp: now.UTC(),
	}
	info.PauseRemaining = pauseLeft(&cfg, now)
	info.Paused = info.PauseRemaining > 0
	info.PriorityGroups = groupState(&cfg, i)
	return info
}

// pauseLeft is how long the consumer still delivers nothing; 0: it does.
func pauseLeft(cfg *wire.ConsumerConfig, now time.Time) time.Duration {
	if cfg.PauseUntil == nil {
		return 0
	}
	return max(cfg.PauseUntil.Sub(now), 0)
}

func sequence(at consumer.Position, last int64) wire.SequenceInfo {
	s := wire.SequenceInfo{Consumer: at.Consumer, Stream: at.Stream}
	if last != 0 {
		t := wire.Time(last)
		s.Last = &t
	}
	return s
}

// accountInfo answers what the account has and may have.
func accountInfo(c *call) (any, *wire.Error) {
	u := c.dir.Usage(c.space.Name())
	l := c.account.JetStream
	info := &wire.AccountInfo{Domain: c.o.Domain}
	memory, storage := c.dir.Reserved(c.space.Name())
	info.Usage = wire.Usage{
		Memory: u.Memory, Storage: u.Storage, ReservedMemory: uint64(memory), ReservedStorage: uint64(storage), Streams: u.Streams, Consumers: u.Consumers,
		Limits: wire.AccountLimits{
			MaxMemory: l.MaxMemory, MaxStorage: l.MaxStorage, MaxStreams: l.MaxStreams, MaxConsumers: l.MaxConsumers,
			MaxAckPending: l.MaxAckPending, MemoryMaxStreamBytes: l.MaxMemoryStream, StoreMaxStreamBytes: l.MaxStorageStream,
			MaxBytesRequired: l.NeedsMaxBytes,
		},
	}
	info.API = wire.APIStats{Level: wire.APILevel, Total: c.total.Load(), Errors: c.errors.Load()}
	return &wire.AccountInfoResponse{Response: c.Kind.Head(nil), AccountInfo: info}, nil
}
