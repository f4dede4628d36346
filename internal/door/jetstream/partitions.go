package jetstream

import (
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
	natswire "github.com/weirmq/weir/internal/wire/nats"
)

// A stream with partitions is a family of streams, NAME:0 and on, that have its
// subjects together. Each message is dealt to one of them: by its key, or by its
// subject where it has none.

// Deal implements stream.Dealer: the CRC-32 (IEEE) of key or subject, modulo count, as
// Liftbridge's clients reckon it.
func (Dialect) Deal(m *broker.Message, count int) int {
	by := m.Subject
	header := m.Header
	if m.Annotated {
		header = m.Plain
	}
	if len(header) > 0 {
		if key := natswire.HeaderValue(header, wire.HeaderKey); len(key) > 0 {
			by = key
		} else if text := natswire.HeaderValue(header, wire.HeaderKeyBinary); len(text) > 0 {
			by = decodeKey(text)
		}
	}
	return int(crc32.ChecksumIEEE(by) % uint32(count))
}

// setMember says of which family a stream is.
func setMember(c *stream.Config, cfg *wire.StreamConfig) {
	if family, k, ok := cfg.Partition(); ok {
		c.Member = &stream.Member{Family: family, Index: k, Count: cfg.Partitions(), Dealt: true}
	}
}

// family returns the partitions of a stream; nil if that is none with partitions, or
// another door's.
func (c *call) family(name string) []*stream.Stream {
	f := c.dir.Family(c.space.Name(), name)
	if f == nil || !f[0].Config().Member.Dealt {
		return nil
	}
	return f
}

// notFound is the error of a request whose stream is not there. Where it is one with
// partitions, which the request cannot be about, the error names them.
func (c *call) notFound(code int) *wire.Error {
	f := c.dir.Family(c.space.Name(), c.Stream)
	if f == nil {
		return wire.Err(code)
	}
	e := *wire.Err(code)
	e.Description = fmt.Sprintf("%s: it has the partitions %s to %s, ask for one of them", e.Description, f[0].Name(), f[len(f)-1].Name())
	return &e
}

// partOf says why a partition is not deleted.
func partOf(m *stream.Member) string {
	if m.Dealt {
		return "it is a partition of the stream " + m.Family + ", which is deleted as a whole"
	}
	return "it is a partition of the stream " + m.Family + ", which is deleted as a whole through the door that made it"
}

// alone says whether the partition of a name is of a stream that is not there: its first one
// is missing, as while they are restored. One that could not be opened is there.
func (c *call) alone(name string, m *stream.Member) bool {
	first := stream.PartitionName(strings.TrimSuffix(name, stream.PartitionName("", m.Index)), 0)
	return c.dir.Find(c.space.Name(), first) == nil && c.dir.BrokenOf(c.space.Name())[first] == nil
}

// familyConfigs are the configurations of the partitions.
func (c *call) familyConfigs(cfg *wire.StreamConfig) []stream.Config {
	out := make([]stream.Config, cfg.Partitions())
	for k := range out {
		out[k] = c.neutral(cfg.OfPartition(k))
	}
	return out
}

func familyCreate(c *call, cfg *wire.StreamConfig) (any, *wire.Error) {
	f, err := c.dir.CreateFamily(c.ctx, c.space.Name(), c.familyConfigs(cfg))
	switch {
	case errors.Is(err, stream.ErrExists):
		if f := c.family(cfg.Name); f != nil {
			return existingFamily(c, f, cfg)
		}
		return nil, wire.Err(wire.CodeStreamNameExist)
	case errors.Is(err, stream.ErrOverlap):
		return nil, wire.Err(wire.CodeSubjectOverlap)
	case err != nil:
		return nil, c.failed(wire.CodeStreamCreate, err)
	}
	return &wire.StreamCreateResponse{Response: c.Kind.Head(nil), StreamInfo: c.familyInfo(f, false), DidCreate: true}, nil
}

// existingFamily is existing for a stream with partitions.
func existingFamily(c *call, f []*stream.Stream, cfg *wire.StreamConfig) (any, *wire.Error) {
	if !cfg.Equal(config(f[0]).OfFamily()) {
		return nil, wire.Err(wire.CodeStreamNameExist)
	}
	c.existed = true
	return &wire.StreamCreateResponse{Response: c.Kind.Head(nil), StreamInfo: c.familyInfo(f, false), DidCreate: true}, nil
}

// familyUpdate changes all partitions. cfg is checked but for what it may change.
func familyUpdate(c *call, f []*stream.Stream, cfg *wire.StreamConfig) (any, *wire.Error) {
	if werr := checkCompaction(cfg); werr != nil {
		return nil, werr
	}
	was := config(f[0]).OfFamily()
	if werr := was.CheckPartitionsUpdate(cfg); werr != nil {
		return nil, werr
	}
	if werr := was.CheckUpdate(cfg); werr != nil {
		return nil, werr
	}
	for _, s := range f {
		for _, con := range s.Consumers() {
			if werr := cfg.CheckConsumer(consumerConfig(con)); werr != nil {
				return nil, werr
			}
		}
	}
	done, werr := c.roomForBytes(cfg, len(f), f...)
	if werr != nil {
		return nil, werr
	}
	defer done()
	err := c.dir.UpdateFamily(c.ctx, f, c.familyConfigs(cfg))
	switch {
	case errors.Is(err, stream.ErrOverlap):
		return nil, wire.Err(wire.CodeSubjectOverlap)
	case errors.Is(err, stream.ErrLocalConsumers):
		return nil, wire.ErrWith(wire.CodeStreamInvalidConfig, "err", "the retention of a stream can not be changed while it has consumers in memory only")
	case err != nil:
		return nil, c.failed(wire.CodeStreamUpdate, err)
	}
	return &wire.StreamCreateResponse{Response: c.Kind.Head(nil), StreamInfo: c.familyInfo(f, false)}, nil
}

// familyInfo describes a stream with partitions. There are no sequences of the whole.
func (d *Door) familyInfo(f []*stream.Stream, list bool) *wire.StreamInfo {
	info := d.streamInfo(f[0], list)
	cfg := info.Config.OfFamily()
	info.Config = *cfg
	for _, s := range f[1:] {
		if !s.Config().Member.Dealt {
			info.Config.Subjects = append(slices.Clone(info.Config.Subjects), s.Config().Subjects...)
		}
		st := streamState(s)
		sum := &info.State
		if st.Msgs > 0 && (sum.Msgs == 0 || st.FirstTime.Before(sum.FirstTime)) {
			sum.FirstTime = st.FirstTime
		}
		if st.LastTime.After(sum.LastTime) {
			sum.LastTime = st.LastTime
		}
		sum.Msgs += st.Msgs
		sum.Bytes += st.Bytes
		sum.NumSubjects += st.NumSubjects
		sum.NumDeleted += st.NumDeleted
		sum.Consumers += st.Consumers
	}
	info.State.FirstSeq, info.State.LastSeq = 0, 0
	return info
}

// familyInfo answers what a stream with partitions holds.
func familyInfo(c *call, f []*stream.Stream, r *wire.StreamInfoRequest) (any, *wire.Error) {
	for _, s := range f {
		if err := s.Settle(c.ctx); err != nil {
			c.log.Warn("request answered before all was durable", "account", c.space.Name(), "stream", s.Name(), "error", err)
		}
	}
	if r.DeletedDetails || r.SubjectsFilter != "" {
		return nil, c.notFound(wire.CodeStreamNotFound)
	}
	info := c.familyInfo(f, false)
	info.Domain = c.o.Domain
	info.Cluster = &wire.ClusterInfo{Leader: c.o.ServerName}
	return &wire.StreamInfoResponse{Response: c.Kind.Head(nil), StreamInfo: info}, nil
}

func familyDelete(c *call, f []*stream.Stream) (any, *wire.Error) {
	consumers := consumersOf(f...)
	if err := c.dir.DropFamily(c.ctx, f); err != nil {
		return nil, c.failed(wire.CodeStreamDelete, err)
	}
	c.tellDeleted(consumers)
	return &wire.SuccessResponse{Response: c.Kind.Head(nil), Success: true}, nil
}

// familyPurge removes what all partitions hold, or what they hold of some subjects.
func familyPurge(c *call, f []*stream.Stream, r *wire.PurgeRequest) (any, *wire.Error) {
	switch {
	case config(f[0]).DenyPurge:
		return nil, wire.ErrWith(wire.CodePurgeFailed, "err", "stream purge not permitted")
	case r.Seq != 0 || r.Keep != 0:
		return nil, wire.ErrWith(wire.CodePurgeFailed, "err", "sequences and how many to keep are of one partition: purge that")
	}
	var n uint64
	for _, s := range f {
		removed, err := s.Purge(c.ctx, stream.Purge{Subject: r.Filter})
		if err != nil {
			return nil, c.failed(wire.CodePurgeFailed, err)
		}
		n += removed
	}
	return &wire.StreamPurgeResponse{Response: c.Kind.Head(nil), Success: true, Purged: n}, nil
}

// checkRestoredPartitions refuses to restore as one what has partitions.
func checkRestoredPartitions(cfg *wire.StreamConfig) *wire.Error {
	if _, _, member := cfg.Partition(); member || cfg.Partitions() == 1 {
		return nil
	}
	return wire.ErrWith(wire.CodeStreamInvalidConfig, "err", "a stream with partitions is restored partition by partition, from number 0")
}

// infoOf describes a stream in a list: whole says that one with partitions stands for
// all of them.
func (c *call) infoOf(s *stream.Stream, whole bool) *wire.StreamInfo {
	if name, _, member := config(s).Partition(); member && whole {
		if f := c.family(name); f != nil {
			return c.Door.familyInfo(f, true)
		}
	}
	return c.streamInfo(s, true)
}

// decodeKey reads a key in base64; what is none is a key as it stands.
func decodeKey(text []byte) []byte {
	key, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return text
	}
	return key
}
