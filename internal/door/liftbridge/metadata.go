package liftbridge

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// FetchMetadata implements pb.APIServer.
func (d *Door) FetchMetadata(ctx context.Context, req *pb.FetchMetadataRequest) (*pb.FetchMetadataResponse, error) {
	c := callerOf(ctx)
	if err := d.authorize(c, "*", "FetchMetadata"); err != nil {
		return nil, err
	}
	resp := &pb.FetchMetadataResponse{}
	all := d.families(c.Account)
	self := &pb.Broker{Id: d.o.ID}
	if a := d.advertised.Load(); a != nil {
		self.Host, self.Port = a.host, a.port
	}
	for _, f := range all {
		for _, s := range f.parts {
			if !s.Config().Gate.Paused {
				self.PartitionCount++
				self.LeaderCount++
			}
		}
	}
	resp.Brokers = []*pb.Broker{self}
	unopened := d.unopenedStreams(c.Account)
	if len(req.Streams) == 0 {
		for _, f := range all {
			resp.StreamMetadata = append(resp.StreamMetadata, d.streamMetadata(c, f))
		}
		for _, name := range slices.Sorted(maps.Keys(unopened)) {
			resp.StreamMetadata = append(resp.StreamMetadata, d.unopenedMetadata(name, unopened[name]))
		}
	}
	for _, name := range req.Streams {
		m := &pb.StreamMetadata{Name: name, Error: pb.StreamMetadata_UNKNOWN_STREAM}
		if f := d.find(c.Account, name); f != nil && !f.hidden {
			m = d.streamMetadata(c, f)
		} else if n := unopened[name]; n > 0 {
			m = d.unopenedMetadata(name, n)
		}
		resp.StreamMetadata = append(resp.StreamMetadata, m)
	}
	for _, id := range req.Groups {
		m, err := d.groupMetadata(ctx, group.Key{Account: c.Account, ID: id})
		if err != nil {
			return nil, err
		}
		resp.GroupMetadata = append(resp.GroupMetadata, m)
	}
	return resp, nil
}

func (d *Door) groupMetadata(ctx context.Context, k group.Key) (*pb.ConsumerGroupMetadata, error) {
	epoch, err := d.groups.Epoch(ctx, k)
	if errors.Is(err, group.ErrNoGroup) {
		return &pb.ConsumerGroupMetadata{GroupId: k.ID, Error: pb.ConsumerGroupMetadata_UNKNOWN_GROUP}, nil
	}
	if err != nil {
		return nil, groupStatus(err, k, "", "", 0)
	}
	return &pb.ConsumerGroupMetadata{GroupId: k.ID, Coordinator: d.o.ID, Epoch: epoch}, nil
}

// streamMetadata describes a stream. Of partitions that the caller may neither publish to
// nor read it is told where they are alone, so that its client asks there and is refused.
func (d *Door) streamMetadata(c *caller, f *family) *pb.StreamMetadata {
	m := &pb.StreamMetadata{Name: f.name, Partitions: make(map[int32]*pb.PartitionMetadata, len(f.parts))}
	for n, s := range f.parts {
		if !c.sees(f, int32(n)) {
			m.Partitions[int32(n)] = d.partitionPlace(int32(n))
			continue
		}
		m.Subject, m.CreationTimestamp = f.subject, f.parts[0].Created()
		m.Partitions[int32(n)] = d.partitionMetadata(s, int32(n))
	}
	return m
}

// partitionPlace says where a partition is.
func (d *Door) partitionPlace(n int32) *pb.PartitionMetadata {
	return &pb.PartitionMetadata{
		Id: n, Leader: d.o.ID, Replicas: []string{d.o.ID}, Isr: []string{d.o.ID}, MessagesReceivedTimestamps: &pb.PartitionEventTimestamps{},
		PauseTimestamps: &pb.PartitionEventTimestamps{}, ReadonlyTimestamps: &pb.PartitionEventTimestamps{},
	}
}

func (d *Door) partitionMetadata(s *stream.Stream, n int32) *pb.PartitionMetadata {
	gate, last := s.Config().Gate, newest(s.Partition())
	m := d.partitionPlace(n)
	m.HighWatermark, m.NewestOffset, m.Paused, m.Readonly = last, last, gate.Paused, gate.ReadOnly
	m.PauseTimestamps.FirstTimestamp, m.PauseTimestamps.LatestTimestamp = gate.PausedFirst, gate.PausedLast
	m.ReadonlyTimestamps.FirstTimestamp, m.ReadonlyTimestamps.LatestTimestamp = gate.ReadOnlyFirst, gate.ReadOnlyLast
	if st := s.Partition().Status(); st.Records > 0 {
		m.MessagesReceivedTimestamps.LatestTimestamp = st.LastTime
		m.MessagesReceivedTimestamps.FirstTimestamp = d.firstTime(s, st.First)
	}
	return m
}

// firstTime is the time of the oldest message that is there, which is read once.
func (d *Door) firstTime(s *stream.Stream, first uint64) int64 {
	id := s.ID().ID
	if known, ok := d.firsts.Load(id); ok && known.(firstStored).seq == first {
		return known.(firstStored).time
	}
	v, err := s.Partition().NextOf("", first)
	if err != nil {
		return 0 // it went meanwhile, or cannot be read: then it is not known
	}
	d.firsts.Store(id, firstStored{first, v.Time})
	return v.Time
}

// firstStored is the oldest message of a partition.
type firstStored struct {
	seq  uint64
	time int64
}

// FetchPartitionMetadata implements pb.APIServer.
func (d *Door) FetchPartitionMetadata(ctx context.Context, req *pb.FetchPartitionMetadataRequest) (*pb.FetchPartitionMetadataResponse, error) {
	c := callerOf(ctx)
	if err := d.authorize(c, req.Stream, "FetchPartitionMetadata"); err != nil {
		return nil, err
	}
	f := d.findSome(c.Account, req.Stream)
	if f == nil || f.hidden || f.part(req.Partition) == nil {
		return nil, d.absent(c.Account, req.Stream, "partition not found")
	}
	if !c.sees(f, req.Partition) {
		return nil, refused(req.Stream, "FetchPartitionMetadata")
	}
	s := f.part(req.Partition)
	if s.Config().Gate.Paused {
		return nil, status.Error(codes.FailedPrecondition, "The request should be sent to partition leader")
	}
	return &pb.FetchPartitionMetadataResponse{Metadata: d.partitionMetadata(s, req.Partition)}, nil
}
