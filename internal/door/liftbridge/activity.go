package liftbridge

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// activity is the stream of what happened. An event is stored before whoever caused
// it is answered. Its id is the sequence that it gets, so that ids rise.
type activity struct {
	mu     sync.Mutex     // held while an event is stored, so that they are in a row
	stream *stream.Stream // nil: nothing is told; guarded by mu
}

// prepareActivity makes the activity stream where it is wanted, and opens it.
func (d *Door) prepareActivity(ctx context.Context) error {
	if !d.o.Activity {
		return nil
	}
	made, f, err := d.own(ctx, &newStream{set: settings{
		Name: activityStream, Subject: d.o.Namespace + ".activity", Partitions: 1, Encryption: d.o.Defaults.Encryption,
	}, limits: partition.Limits{
		MaxAge: int64(d.o.Defaults.MaxAge), MaxBytes: d.o.Defaults.MaxBytes, MaxRecords: d.o.Defaults.MaxMessages,
	}})
	if err != nil {
		return err
	}
	d.activity.mu.Lock()
	d.activity.stream = f.parts[0]
	d.activity.mu.Unlock()
	if !made {
		return nil
	}
	return d.tellCreated(ctx, f)
}

// own returns a stream of the door's own, and makes it at its first use.
func (d *Door) own(ctx context.Context, p *newStream) (made bool, f *family, err error) {
	defer d.naming.hold(d.o.Account, p.set.Name)()
	if f = d.find(d.o.Account, p.set.Name); f != nil {
		return false, f, nil
	}
	if _, err := d.dir.CreateFamily(ctx, d.o.Account, p.configs()); err != nil {
		return false, nil, fmt.Errorf("make the stream %s: %w", p.set.Name, err)
	}
	if f = d.find(d.o.Account, p.set.Name); f == nil {
		return false, nil, fmt.Errorf("make the stream %s: %w", p.set.Name, stream.ErrNotFound)
	}
	return true, f, nil
}

func (d *Door) tellCreated(ctx context.Context, f *family) error {
	return d.tell(ctx, d.o.Account, &pb.ActivityStreamEvent{
		Op: pb.ActivityStreamOp_CREATE_STREAM, CreateStreamOp: &pb.CreateStreamOp{Stream: f.name, Partitions: f.chosen(nil)},
	})
}

// tell stores an event, where that is wanted. Only what happens in the account of
// the stream is told there.
func (d *Door) tell(ctx context.Context, account string, e *pb.ActivityStreamEvent) error {
	if !d.o.Activity || account != d.o.Account {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.o.ActivityTimeout)
	defer cancel()
	a := &d.activity
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stream == nil || a.stream.Dropped() {
		return nil
	}
	if a.stream.Config().Gate.ReadOnly {
		d.log.Warn("event not told in the activity stream, which is read-only", "op", e.Op.String())
		return nil
	}
	err := a.store(ctx, e)
	if err == nil {
		err = a.resume(ctx)
	}
	if err != nil {
		d.log.Error("event not told in the activity stream", "op", e.Op.String(), "error", err)
		return status.Errorf(codes.Internal, "done, but not told in the activity stream: %v", err)
	}
	return nil
}

// activityTries is how often an event is stored anew when somebody else published to
// the stream meanwhile.
const activityTries = 10

func (a *activity) store(ctx context.Context, e *pb.ActivityStreamEvent) error {
	subject := []byte(setOf(a.stream).Subject)
	for range activityTries {
		last := a.stream.Partition().Committed()
		e.Id = last + 1
		value, err := proto.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode an event: %w", err)
		}
		o, err := a.stream.Put(ctx, &record.Parts{Subject: subject, Data: value}, &partition.Conditions{HasLast: true, Last: last})
		switch {
		case err != nil:
			return err
		case o.Refusal == partition.Accepted:
			return nil
		case o.Refusal != partition.WrongLast:
			return fmt.Errorf("store an event: %w", refusalError(o))
		}
	}
	return fmt.Errorf("store an event: %w", context.DeadlineExceeded)
}

// resume opens the activity stream where somebody has paused it: what is told resumes it,
// as publishing does with other streams. a.mu is held.
func (a *activity) resume(ctx context.Context) error {
	if !a.stream.Config().Gate.Paused {
		return nil
	}
	if err := a.stream.Change(ctx, openGate); err != nil {
		return fmt.Errorf("resume the activity stream: %w", err)
	}
	return a.store(ctx, &pb.ActivityStreamEvent{
		Op: pb.ActivityStreamOp_RESUME_STREAM, ResumeStreamOp: &pb.ResumeStreamOp{Stream: activityStream, Partitions: []int32{0}},
	})
}

// tellMember tells of a consumer that joined or left.
func (d *Door) tellMember(ctx context.Context, e group.Event) {
	event := &pb.ActivityStreamEvent{
		Op:                  pb.ActivityStreamOp_JOIN_CONSUMER_GROUP,
		JoinConsumerGroupOp: &pb.JoinConsumerGroupOp{GroupId: e.Key.ID, ConsumerId: e.Consumer, Streams: slices.Clone(e.Streams)},
	}
	if e.Left {
		event = &pb.ActivityStreamEvent{
			Op:                   pb.ActivityStreamOp_LEAVE_CONSUMER_GROUP,
			LeaveConsumerGroupOp: &pb.LeaveConsumerGroupOp{GroupId: e.Key.ID, ConsumerId: e.Consumer, Expired: e.Expired},
		}
	}
	_ = d.tell(ctx, e.Key.Account, event) // it has logged why not
}

func now() int64 { return time.Now().UnixNano() }
