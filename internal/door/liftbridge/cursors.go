package liftbridge

import (
	"context"
	"errors"
	"fmt"

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
	if f := d.find(c.Account, stream); f != nil && f.part(n) != nil && !c.reads(f, n) {
		return nil, refused(stream, action)
	}
	p, err := d.placeOf(ctx, c.Account, stream, id, n)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, errNoCursors):
		return nil, status.Error(codes.Internal, "Cursors stream does not exist")
	case errors.Is(err, errLongCursor):
		return nil, status.Error(codes.InvalidArgument, "cursorId is too long")
	case errors.Is(err, errUnopened):
		return nil, status.Error(codes.Internal, err.Error())
	}
	return nil, status.Errorf(codes.Internal, "Failed to resume stream: %v", err)
}

// Why a cursor has no place.
var (
	errNoCursors  = errors.New("cursors are turned off")
	errLongCursor = errors.New("the name of the cursor is too long")
)

// placeOf finds the place of an account's cursor, and resumes the partition that it is
// kept in.
func (d *Door) placeOf(ctx context.Context, account, stream, id string, n int32) (*cursorPlace, error) {
	f, err := d.cursorFamily()
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, errNoCursors
	}
	key := wire.CursorKey(id, stream, n)
	p := &cursorPlace{family: f, number: wire.CursorPartition(key, len(f.parts)), key: []byte(key)}
	p.subject = []byte(d.cursorSubjects(account, f, p.number) + wire.CursorToken(key))
	if len(p.subject) > record.MaxSubject {
		return nil, errLongCursor
	}
	if resumes(f.parts[p.number]) {
		if err := d.resume(ctx, d.o.Account, f, p.number); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// cursorFamily is the stream that cursors are kept in; nil: there is none, and there never
// was a cursor. errUnopened says that there may be cursors.
func (d *Door) cursorFamily() (*family, error) {
	if d.o.Cursors <= 0 {
		return nil, nil
	}
	f := d.find(d.o.Account, cursorsStream)
	if f == nil && d.unopened(d.o.Account, cursorsStream) {
		return nil, fmt.Errorf("%s: %w", cursorsStream, errUnopened)
	}
	return f, nil
}

// cursorSubjects begins the subjects of an account's cursors in a partition. Accounts
// know nothing of one another.
func (d *Door) cursorSubjects(account string, f *family, n int32) string {
	if account == d.o.Account {
		return f.subjectOf(n) + "."
	}
	return f.subjectOf(n) + "." + wire.CursorToken(account) + "."
}

// SetCursor implements pb.APIServer.
func (d *Door) SetCursor(ctx context.Context, req *pb.SetCursorRequest) (*pb.SetCursorResponse, error) {
	p, err := d.cursor(ctx, req.Stream, req.CursorId, req.Partition, "SetCursor")
	if err != nil {
		return nil, err
	}
	o, err := p.put(ctx, &pb.SetCursorRequest{
		Stream: req.Stream, Partition: req.Partition, CursorId: req.CursorId, Offset: req.Offset,
	}, nil)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ended(ctx)
	default:
		return nil, status.Errorf(codes.Internal, "cursor not set: %v", err)
	}
	if refusal := faultOf(o, p.number, cursorsStream); refusal != nil {
		return nil, status.Error(codes.Internal, refusal.status().Error()) // that of a publish, in Liftbridge
	}
	return &pb.SetCursorResponse{}, nil
}

// store sets a cursor. It returns when that is durable.
func (p *cursorPlace) store(ctx context.Context, cursor *pb.SetCursorRequest) error {
	o, err := p.put(ctx, cursor, nil)
	if err != nil {
		return err
	}
	return refusalError(o)
}

// put sets a cursor if c, which may be nil, allows it.
func (p *cursorPlace) put(ctx context.Context, cursor *pb.SetCursorRequest, c *partition.Conditions) (partition.Outcome, error) {
	value, err := proto.Marshal(cursor)
	if err != nil {
		return partition.Outcome{}, fmt.Errorf("encode a cursor: %w", err)
	}
	return p.family.parts[p.number].Put(ctx, &record.Parts{
		Subject: p.subject, Header: wire.AppendHeaderBlock(nil, p.key, nil), Data: value, Key: p.key,
	}, c)
}

// load reads a cursor: its offset. false: it was never set.
func (p *cursorPlace) load() (offset int64, set bool, err error) {
	v, err := p.family.parts[p.number].Partition().LastOf(string(p.subject))
	if errors.Is(err, partition.ErrNotFound) {
		return none, false, nil
	}
	var kept pb.SetCursorRequest
	if err == nil {
		err = proto.Unmarshal(v.Data, &kept)
	}
	if err != nil {
		return none, false, fmt.Errorf("read a cursor: %w", err)
	}
	return kept.Offset, true, nil
}

// FetchCursor implements pb.APIServer.
func (d *Door) FetchCursor(ctx context.Context, req *pb.FetchCursorRequest) (*pb.FetchCursorResponse, error) {
	p, err := d.cursor(ctx, req.Stream, req.CursorId, req.Partition, "FetchCursor")
	if err != nil {
		return nil, err
	}
	offset, _, err := p.load()
	if err != nil {
		d.log.Error("cursor not read", "stream", req.Stream, "cursor", req.CursorId, "error", err)
		return nil, status.Errorf(codes.Internal, "cursor not read: %v", err)
	}
	return &pb.FetchCursorResponse{Offset: offset}, nil
}
