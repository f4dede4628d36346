package liftbridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/partition"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fault is why a publish is refused, as both ways of publishing tell it.
type fault struct {
	async pb.PublishAsyncError_Code
	unary codes.Code
	text  string
}

func (f *fault) status() error { return status.Error(f.unary, f.text) }

var (
	faultPolicy    = &fault{pb.PublishAsyncError_BAD_REQUEST, codes.InvalidArgument, "stream with concurrency control must have AckPolicy set"}
	faultOffset    = &fault{pb.PublishAsyncError_INCORRECT_OFFSET, codes.Unknown, "incorrect expected offset"}
	faultLarge     = &fault{pb.PublishAsyncError_BAD_REQUEST, codes.InvalidArgument, "message exceeds max replication size"}
	faultOverload  = &fault{pb.PublishAsyncError_INTERNAL, codes.ResourceExhausted, "too much is in flight: publish it later"}
	faultSpace     = &fault{pb.PublishAsyncError_INTERNAL, codes.ResourceExhausted, "the storage is used up"}
	faultDead      = &fault{pb.PublishAsyncError_INTERNAL, codes.Internal, "the server's storage has failed: it takes nothing until a restart"}
	faultUntaken   = &fault{pb.PublishAsyncError_INTERNAL, codes.Unavailable, "the partition takes no messages at present"}
	faultPattern   = &fault{pb.PublishAsyncError_BAD_REQUEST, codes.FailedPrecondition, "the stream is JetStream's and takes patterns, of which no subject is its own: name one with PublishToSubject"}
	faultNoSubject = &fault{pb.PublishAsyncError_BAD_REQUEST, codes.FailedPrecondition, "the stream is JetStream's and takes nothing that is published, as a mirror does"}
	faultUnknown   = &fault{pb.PublishAsyncError_UNKNOWN, codes.Unknown, "unknown error"}
)

func faultUnknownStream(name string) *fault {
	return &fault{pb.PublishAsyncError_NOT_FOUND, codes.NotFound, "no such stream: " + name}
}

func faultUnopened(name string) *fault {
	return &fault{pb.PublishAsyncError_INTERNAL, codes.Internal, "stream " + name + " could not be opened: the server's log says why"}
}

func faultPartition(n int32) *fault {
	return &fault{pb.PublishAsyncError_NOT_FOUND, codes.NotFound, fmt.Sprintf("no such partition: %d", n)}
}

func faultReadOnly(n int32) *fault {
	return &fault{pb.PublishAsyncError_READONLY, codes.FailedPrecondition, fmt.Sprintf("readonly partition: %d", n)}
}

func faultDenied(err error) *fault {
	return &fault{pb.PublishAsyncError_PERMISSION_DENIED, codes.Unknown, status.Convert(err).Message()}
}

// faultOf says why an outcome is no ack; nil: it is one. n is the partition.
func faultOf(o partition.Outcome, n int32, name string) *fault {
	switch o.Refusal {
	case partition.Accepted, partition.Duplicate:
		return nil
	case partition.WrongLast:
		return faultOffset
	case partition.TooLarge:
		return faultLarge
	case partition.Sealed:
		return faultReadOnly(n)
	case partition.Overload:
		return faultOverload
	case partition.NoSpace, partition.MaxBytes, partition.MaxRecords, partition.MaxPerSubject, partition.TooManyIDs:
		return faultSpace
	case partition.Deleted:
		return faultUnknownStream(name)
	case partition.Dead, partition.Unreadable:
		return faultDead
	default:
		return faultUnknown
	}
}

// refusalError is a refusal as an error for the log.
func refusalError(o partition.Outcome) error {
	if f := faultOf(o, 0, ""); f != nil {
		return errors.New(f.text)
	}
	return nil
}

// ended says how a call ends whose context has ended.
func ended(ctx context.Context) error { return status.FromContextError(ctx.Err()).Err() }

// groupStatus puts an error of the groups into the protocol's words.
func groupStatus(err error, key group.Key, consumer, coordinator string, epoch uint64) error {
	var mismatch *group.MismatchError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch):
		return status.Errorf(codes.FailedPrecondition, "Coordinator generation mismatch, current coordinator: %s epoch: %d, got coordinator: %s epoch: %d",
			mismatch.Coordinator, mismatch.Epoch, coordinator, epoch)
	case errors.Is(err, group.ErrNoCandidates):
		return status.Error(codes.FailedPrecondition, "No group coordinator candidates")
	case errors.Is(err, group.ErrNoGroup):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, group.ErrMember), errors.Is(err, group.ErrNotMember), errors.Is(err, group.ErrNoStream), errors.Is(err, group.ErrEpoch):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, group.ErrStopped):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	return status.Errorf(codes.Internal, "group %s, consumer %s: %v", key.ID, consumer, err)
}

// ackOf is an ack in gRPC's terms.
func ackOf(a *wire.Ack) *pb.Ack {
	return &pb.Ack{
		Stream: string(a.Stream), PartitionSubject: string(a.PartitionSubject), MsgSubject: string(a.MsgSubject), Offset: a.Offset,
		AckInbox: string(a.AckInbox), CorrelationId: string(a.CorrelationID), AckPolicy: pb.AckPolicy(a.AckPolicy),
		ReceptionTimestamp: a.ReceptionTime, CommitTimestamp: a.CommitTime, AckError: pb.Ack_Error(a.Error),
	}
}
