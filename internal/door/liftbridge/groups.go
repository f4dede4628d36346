package liftbridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// JoinConsumerGroup implements pb.APIServer.
func (d *Door) JoinConsumerGroup(ctx context.Context, req *pb.JoinConsumerGroupRequest) (*pb.JoinConsumerGroupResponse, error) {
	c := callerOf(ctx)
	if err := named(req.GroupId, req.ConsumerId); err != nil {
		return nil, err
	}
	if len(req.Streams) == 0 {
		return nil, status.Error(codes.InvalidArgument, "No streams provided")
	}
	if err := d.mayJoin(c, req.Streams); err != nil {
		return nil, err
	}
	streams := slices.Clone(req.Streams)
	slices.Sort(streams)
	k := group.Key{Account: c.Account, ID: req.GroupId}
	epoch, err := d.groups.Join(ctx, k, req.ConsumerId, slices.Compact(streams))
	if err != nil {
		return nil, groupStatus(err, k, req.ConsumerId, "", 0)
	}
	return &pb.JoinConsumerGroupResponse{
		Coordinator: d.o.ID, Epoch: epoch,
		ConsumerTimeout: int64(d.o.ConsumerTimeout), CoordinatorTimeout: int64(d.o.CoordinatorTimeout),
	}, nil
}

// named checks that a request says of whom it is.
func named(groupID, consumer string) error {
	switch {
	case groupID == "":
		return status.Error(codes.InvalidArgument, "No groupId provided")
	case consumer == "":
		return status.Error(codes.InvalidArgument, "No consumerId provided")
	case len(groupID) > maxGroupName || len(consumer) > maxGroupName:
		return status.Errorf(codes.InvalidArgument, "groupId and consumerId must not be longer than %d bytes", maxGroupName)
	}
	return nil
}

// maxGroupName bounds the names of groups and consumers, bytes.
const maxGroupName = 1024

// LeaveConsumerGroup implements pb.APIServer.
func (d *Door) LeaveConsumerGroup(ctx context.Context, req *pb.LeaveConsumerGroupRequest) (*pb.LeaveConsumerGroupResponse, error) {
	if err := named(req.GroupId, req.ConsumerId); err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	k := group.Key{Account: c.Account, ID: req.GroupId}
	if err := d.mayAct(ctx, c, k, req.ConsumerId); err != nil {
		return nil, err
	}
	if err := d.groups.Leave(ctx, k, req.ConsumerId); err != nil {
		return nil, groupStatus(err, k, req.ConsumerId, "", 0)
	}
	return &pb.LeaveConsumerGroupResponse{}, nil
}

// FetchConsumerGroupAssignments implements pb.APIServer.
func (d *Door) FetchConsumerGroupAssignments(ctx context.Context, req *pb.FetchConsumerGroupAssignmentsRequest) (*pb.FetchConsumerGroupAssignmentsResponse, error) {
	if err := named(req.GroupId, req.ConsumerId); err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	k := group.Key{Account: c.Account, ID: req.GroupId}
	if err := d.mayAct(ctx, c, k, req.ConsumerId); err != nil {
		return nil, err
	}
	a, err := d.groups.Assignments(ctx, k, req.ConsumerId, req.Epoch)
	if err != nil {
		return nil, groupStatus(err, k, req.ConsumerId, "", req.Epoch)
	}
	resp := &pb.FetchConsumerGroupAssignmentsResponse{Epoch: req.Epoch}
	for name, parts := range a {
		if len(parts) > 0 {
			resp.Assignments = append(resp.Assignments, &pb.PartitionAssignment{Stream: name, Partitions: parts})
		}
	}
	slices.SortFunc(resp.Assignments, func(a, b *pb.PartitionAssignment) int { return cmp.Compare(a.Stream, b.Stream) })
	return resp, nil
}

// ReportConsumerGroupCoordinator implements pb.APIServer.
func (d *Door) ReportConsumerGroupCoordinator(ctx context.Context, req *pb.ReportConsumerGroupCoordinatorRequest) (*pb.ReportConsumerGroupCoordinatorResponse, error) {
	if err := named(req.GroupId, req.ConsumerId); err != nil {
		return nil, err
	}
	if req.Coordinator == "" {
		return nil, status.Error(codes.InvalidArgument, "No coordinator provided")
	}
	c := callerOf(ctx)
	k := group.Key{Account: c.Account, ID: req.GroupId}
	if err := d.mayAct(ctx, c, k, req.ConsumerId); err != nil {
		return nil, err
	}
	err := d.groups.Report(ctx, k, req.ConsumerId, req.Coordinator, req.Epoch)
	switch {
	case errors.Is(err, group.ErrNoGroup):
		return nil, status.Errorf(codes.FailedPrecondition, "No such consumer group %s", k.ID)
	case errors.Is(err, group.ErrNotMember):
		return nil, status.Errorf(codes.FailedPrecondition, "Consumer %s is not a member of consumer group %s", req.ConsumerId, k.ID)
	case err != nil:
		return nil, groupStatus(err, k, req.ConsumerId, req.Coordinator, req.Epoch)
	}
	return &pb.ReportConsumerGroupCoordinatorResponse{}, nil
}

// prepareGroups makes the stream that groups are kept in: the state of each is the
// last record of a subject of its own.
func (d *Door) prepareGroups(ctx context.Context) error {
	_, _, err := d.own(ctx, &newStream{
		set: settings{
			Name: groupsStream, Subject: groupSubject, Partitions: 1, Internal: true, Encryption: d.o.Defaults.Encryption,
		},
		limits: partition.Limits{MaxPerSubject: 1}, noCapture: true,
	})
	return err
}

// StreamDeleted tells the groups of a stream that is deleted, through whichever door, by its
// name for JetStream and which partition it is, nil for none. It does not block.
func (d *Door) StreamDeleted(account, name string, m *stream.Member) {
	if m != nil && m.Index > 0 {
		return // the first one stands for all
	}
	name = wire.UnescapeName(name)
	if m != nil {
		name = m.Family
	}
	d.groups.StreamGone(account, name)
}

// groupSubject begins the subjects under which groups are kept.
const groupSubject = "$WEIR.GROUPS"

// groupStore keeps the states of groups. It implements group.Store.
type groupStore struct{ door *Door }

// kept is a group as it is stored.
type kept struct {
	Account string      `json:"account"`
	ID      string      `json:"id"`
	State   group.State `json:"state"`
}

func (s groupStore) stream() (*stream.Stream, error) {
	f := s.door.find(s.door.o.Account, groupsStream)
	if f == nil {
		return nil, fmt.Errorf("stream %s: %w", groupsStream, stream.ErrNotFound)
	}
	return f.parts[0], nil
}

// Save implements group.Store.
func (s groupStore) Save(ctx context.Context, k group.Key, st group.State) error {
	if err := s.door.prepareGroups(ctx); err != nil {
		return err
	}
	in, err := s.stream()
	if err != nil {
		return err
	}
	b, err := json.Marshal(&kept{k.Account, k.ID, st})
	if err != nil {
		return fmt.Errorf("encode a group: %w", err)
	}
	subj := strings.Join([]string{groupSubject, wire.CursorToken(k.Account), wire.CursorToken(k.ID)}, ".")
	p := &record.Parts{Subject: []byte(subj), Data: b}
	if len(st.Members) == 0 {
		p.TTL = int64(group.KeepGone)
	}
	o, err := in.Put(ctx, p, nil)
	if err != nil {
		return err
	}
	return refusalError(o)
}

// Load implements group.Store.
func (s groupStore) Load(ctx context.Context, f func(group.Key, group.State)) error {
	in, err := s.stream()
	if errors.Is(err, stream.ErrNotFound) {
		if d := s.door; d.unopened(d.o.Account, groupsStream) {
			return fmt.Errorf("%s: %w", groupsStream, errUnopened)
		}
		return nil // there never was a group
	}
	if err != nil {
		return err
	}
	r := in.Partition().Reader(0)
	defer r.Close()
	for ctx.Err() == nil {
		v, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var g kept
		if err == nil {
			err = json.Unmarshal(v.Data, &g)
		}
		if err != nil {
			s.door.log.Error("a consumer group cannot be read: its members have to join again", "seq", v.Seq, "error", err)
			continue
		}
		f(group.Key{Account: g.Account, ID: g.ID}, g.State)
	}
	return ctx.Err()
}
