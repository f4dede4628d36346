package liftbridge

import (
	"context"
	"errors"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// prepareCursors makes the stream that cursors are kept in. Each has a subject of its
// own, below that of its partition, of which one record is kept: so any number of
// them is found by the subject index.
func (d *Door) prepareCursors(ctx context.Context) error {
	if d.o.Cursors <= 0 {
		return nil
	}
	made, f, err := d.own(ctx, &newStream{
		set: settings{
			Name: cursorsStream, Subject: d.o.Namespace + ".cursors", Partitions: int32(d.o.Cursors), Compact: false,
			AutoPause: d.o.CursorAutoPause, AutoPauseUnlessRead: true, Encryption: d.o.Defaults.Encryption,
		},
		limits: partition.Limits{MaxPerSubject: 1},
	})
	if err != nil || !made {
		return err
	}
	return d.tellCreated(ctx, f)
}

// cursorPlace is where a cursor is kept.
type cursorPlace struct {
	family  *family
	number  int32
	key     []byte
	subject []byte
}

// cursor finds the place of a cursor, whose names are checked.
func (d *Door) cursor(ctx context.Context, stream, id string, n int32, action string) (*cursorPlace, error) {
	c := callerOf(ctx)
	switch {
	case stream == "":
		return nil, status.Error(codes.InvalidArgument, "No stream provided")
	case id == "":
		return nil, status.Error(codes.InvalidArgument, "No cursorId provided")
	}
	if err := d.authorize(c, stream, action); err != nil {
		return nil, err
	}
	if f := d.find(c.Account, stream); f != nil && f.part(n) != nil && !c.reads(f.subjectOf(n)) {
		return nil, refused(stream, action)
	}
	var f *family
	if d.o.Cursors > 0 {
		f = d.find(d.o.Account, cursorsStream)
	}
	if f == nil {
		return nil, status.Error(codes.Internal, "Cursors stream does not exist")
	}
	key := wire.CursorKey(id, stream, n)
	p := &cursorPlace{family: f, number: wire.CursorPartition(key, len(f.parts)), key: []byte(key)}
	token := wire.CursorToken(key)
	if c.Account != d.o.Account {
		token = wire.CursorToken(c.Account) + "." + token // accounts know nothing of one another
	}
	p.subject = []byte(f.subjectOf(p.number) + "." + token)
	if len(p.subject) > record.MaxSubject {
		return nil, status.Error(codes.InvalidArgument, "cursorId is too long")
	}
	if f.parts[p.number].Config().Gate.Paused {
		if err := d.resume(ctx, d.o.Account, f, p.number); err != nil {
			return nil, status.Errorf(codes.Internal, "Failed to resume stream: %v", err)
		}
	}
	return p, nil
}

// SetCursor implements pb.APIServer.
func (d *Door) SetCursor(ctx context.Context, req *pb.SetCursorRequest) (*pb.SetCursorResponse, error) {
	p, err := d.cursor(ctx, req.Stream, req.CursorId, req.Partition, "SetCursor")
	if err != nil {
		return nil, err
	}
	value, err := proto.Marshal(&pb.SetCursorRequest{
		Stream: req.Stream, Partition: req.Partition, CursorId: req.CursorId, Offset: req.Offset,
	})
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cursor not set: %v", err)
	}
	o, err := p.family.parts[p.number].Put(ctx, &record.Parts{
		Subject: p.subject, Header: wire.AppendHeaderBlock(nil, p.key, nil), Data: value, Key: p.key,
	}, nil)
	if err == nil {
		err = refusalError(o)
	}
	switch {
	case err == nil:
		return &pb.SetCursorResponse{}, nil
	case ctx.Err() != nil:
		return nil, ended(ctx)
	}
	return nil, status.Errorf(codes.Internal, "cursor not set: %v", err)
}

// FetchCursor implements pb.APIServer.
func (d *Door) FetchCursor(ctx context.Context, req *pb.FetchCursorRequest) (*pb.FetchCursorResponse, error) {
	p, err := d.cursor(ctx, req.Stream, req.CursorId, req.Partition, "FetchCursor")
	if err != nil {
		return nil, err
	}
	v, err := p.family.parts[p.number].Partition().LastOf(string(p.subject))
	if errors.Is(err, partition.ErrNotFound) {
		return &pb.FetchCursorResponse{Offset: none}, nil
	}
	var kept pb.SetCursorRequest
	if err == nil {
		err = proto.Unmarshal(v.Data, &kept)
	}
	if err != nil {
		d.log.Error("cursor not read", "stream", req.Stream, "cursor", req.CursorId, "error", err)
		return nil, status.Errorf(codes.Internal, "cursor not read: %v", err)
	}
	return &pb.FetchCursorResponse{Offset: kept.Offset}, nil
}
