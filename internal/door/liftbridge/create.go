package liftbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/subject"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Names of streams that clients can neither make nor delete.
const (
	activityStream = "__activity"
	cursorsStream  = "__cursors"
	groupsStream   = "__groups"
)

func reserved(name string) bool { return name == activityStream || name == cursorsStream }

// maxPartitions bounds the partitions of a stream.
const maxPartitions = 10_000

// dedupWindow is in which time two messages with one id are one.
const dedupWindow = 2 * time.Minute

// CreateStream implements pb.APIServer.
func (d *Door) CreateStream(ctx context.Context, req *pb.CreateStreamRequest) (*pb.CreateStreamResponse, error) {
	c := callerOf(ctx)
	if req.ReplicationFactor == 0 {
		req.ReplicationFactor = 1
	}
	if req.Partitions == 0 {
		req.Partitions = 1
	}
	if err := d.checkCreate(c, req); err != nil {
		return nil, err
	}
	if req.ReplicationFactor == -1 {
		req.ReplicationFactor = servers
	}
	p, err := d.plan(req)
	if err != nil {
		return nil, err
	}
	if err := d.create(ctx, c.Account, p); err != nil {
		return nil, err
	}
	return &pb.CreateStreamResponse{}, nil
}

// checkCreate holds a request against the rules, in the protocol's order.
func (d *Door) checkCreate(c *caller, req *pb.CreateStreamRequest) error {
	invalid := func(format string, a ...any) error { return status.Errorf(codes.InvalidArgument, format, a...) }
	switch {
	case req.Name == "":
		return invalid("Name cannot be empty")
	case req.Subject == "" || !subject.ValidPattern(req.Subject):
		return invalid("Subject is invalid")
	case reserved(req.Name):
		return invalid("Stream is reserved")
	case !wire.ValidName(req.Name) || req.Name == groupsStream:
		return invalid("Name is invalid")
	case req.Group != "" && !subject.ValidLiteral(req.Group):
		return invalid("Group is invalid")
	case req.Partitions < 0 || req.Partitions > maxPartitions:
		return invalid("Invalid partitions %d", req.Partitions)
	case req.Partitions > 1 && strings.HasSuffix(req.Subject, ">"):
		return invalid("Subject is invalid: partitions need one that does not end with >")
	}
	if err := d.authorize(c, req.Name, "CreateStream"); err != nil {
		return err
	}
	if !c.creates(req.Subject, req.Partitions) {
		return refused(req.Name, "CreateStream")
	}
	if d.o.Encryption != nil && (req.Encryption.GetValue() || req.Encryption == nil && d.o.Defaults.Encryption) {
		return status.Errorf(codes.FailedPrecondition, "Failed on preconditions for stream's encryption handler: %v", d.o.Encryption)
	}
	switch {
	case req.ReplicationFactor <= 0 && req.ReplicationFactor != -1:
		return invalid("Invalid replicationFactor %d", req.ReplicationFactor)
	case req.ReplicationFactor > servers:
		return invalid("Invalid replicationFactor %d, cluster size %d", req.ReplicationFactor, servers)
	}
	return nil
}

// servers is how many there are.
const servers = 1

// newStream is a stream to be made.
type newStream struct {
	set       settings // but for Partition
	limits    partition.Limits
	noCapture bool // its subjects are not captured: the door alone writes to it
}

// plan reads what a request says of the stream.
func (d *Door) plan(req *pb.CreateStreamRequest) (*newStream, error) {
	def := &d.o.Defaults
	var bad error
	number := func(what string, n interface{ GetValue() int64 }, absent bool, byDefault int64) int64 {
		if absent {
			return byDefault
		}
		if v := n.GetValue(); v >= 0 {
			return v
		}
		bad = status.Errorf(codes.InvalidArgument, "Invalid %s %d", what, n.GetValue())
		return 0
	}
	millis := func(what string, n *pb.NullableInt64, byDefault time.Duration) time.Duration {
		ms := number(what, n, n == nil, byDefault.Milliseconds())
		if ms > maxMillis {
			bad = status.Errorf(codes.InvalidArgument, "Invalid %s %d", what, ms)
			return 0
		}
		return time.Duration(ms) * time.Millisecond
	}
	boolean := func(b *pb.NullableBool, byDefault bool) bool {
		if b == nil {
			return byDefault
		}
		return b.Value
	}
	small := func(what string, n *pb.NullableInt32, byDefault int32) int32 {
		if n == nil {
			return byDefault
		}
		if n.Value < 0 {
			bad = status.Errorf(codes.InvalidArgument, "Invalid %s %d", what, n.Value)
		}
		return n.Value
	}
	p := &newStream{}
	p.set = settings{
		Name: req.Name, Subject: req.Subject, Group: req.Group, Partitions: req.Partitions, OCC: req.OptimisticConcurrencyControl.GetValue(),
		Compact:             boolean(req.CompactEnabled, def.Compact),
		AutoPause:           millis("autoPauseTime", req.AutoPauseTime, def.AutoPause),
		AutoPauseUnlessRead: boolean(req.AutoPauseDisableIfSubscribers, def.AutoPauseUnlessRead),
		Encryption:          boolean(req.Encryption, def.Encryption),
		SegmentMaxBytes:     number("segmentMaxBytes", req.SegmentMaxBytes, req.SegmentMaxBytes == nil, def.SegmentMaxBytes),
		SegmentMaxAge:       millis("segmentMaxAge", req.SegmentMaxAge, def.SegmentMaxAge).Milliseconds(),
		CleanerInterval:     millis("cleanerInterval", req.CleanerInterval, def.CleanerInterval).Milliseconds(),
		CompactGoroutines:   small("compactMaxGoroutines", req.CompactMaxGoroutines, def.CompactGoroutines),
		MinISR:              small("minIsr", req.MinIsr, def.MinISR),
		ReplicationFactor:   req.ReplicationFactor,
	}
	if p.set.MinISR > servers {
		bad = status.Errorf(codes.InvalidArgument, "Invalid minIsr %d, cluster size %d", p.set.MinISR, servers)
	}
	p.limits = partition.Limits{
		MaxBytes:   number("retentionMaxBytes", req.RetentionMaxBytes, req.RetentionMaxBytes == nil, def.MaxBytes),
		MaxRecords: number("retentionMaxMessages", req.RetentionMaxMessages, req.RetentionMaxMessages == nil, def.MaxMessages),
		MaxAge:     int64(millis("retentionMaxAge", req.RetentionMaxAge, def.MaxAge)),
	}
	return p, bad
}

// maxMillis bounds durations, milliseconds: a hundred years.
const maxMillis = 100 * 365 * 24 * 3600 * 1000

// create makes a stream and tells of it.
func (d *Door) create(ctx context.Context, account string, p *newStream) error {
	defer d.naming.hold(account, p.set.Name)()
	if d.find(account, p.set.Name) != nil {
		return status.Error(codes.AlreadyExists, "stream already exists")
	}
	_, err := d.dir.CreateFamily(ctx, account, p.configs())
	switch {
	case errors.Is(err, stream.ErrExists):
		return status.Error(codes.AlreadyExists, "stream already exists")
	case err != nil:
		d.log.Error("stream not created", "stream", p.set.Name, "account", account, "error", err)
		return status.Errorf(codes.Internal, "stream not created: %v", err)
	}
	if p.set.AutoPause > 0 {
		d.pauser.look()
	}
	all := make([]int32, p.set.Partitions)
	for n := range all {
		all[n] = int32(n)
	}
	return d.tell(ctx, account, &pb.ActivityStreamEvent{
		Op: pb.ActivityStreamOp_CREATE_STREAM, CreateStreamOp: &pb.CreateStreamOp{Stream: p.set.Name, Partitions: all},
	})
}

// configs are the configurations of the partitions.
func (p *newStream) configs() []stream.Config {
	out := make([]stream.Config, p.set.Partitions)
	for n := range out {
		set := p.set
		set.Partition = int32(n)
		c := stream.Config{
			Name: set.StreamName(), Subjects: []string{wire.PartitionSubject(set.Subject, set.Partition)}, Dialect: DialectName,
			Capture: stream.CaptureShared, Queue: p.set.Group, Limits: p.limits,
		}
		if p.noCapture {
			c.Subjects = nil
		}
		if set.Partitions > 1 {
			c.Member = &stream.Member{Family: set.Name, Index: n, Count: len(out)}
		}
		c.Limits.DedupWindow = int64(dedupWindow)
		if set.Compact {
			c.Limits.Compact = partition.CompactKeys
		}
		c.Doc = describe(&c, &set)
		out[n] = c
	}
	return out
}

// describe puts a configuration into JetStream's terms.
func describe(c *stream.Config, set *settings) json.RawMessage {
	unlimited := func(n int64) int64 {
		if n <= 0 {
			return -1
		}
		return n
	}
	js := jswire.StreamConfig{
		Name: c.Name, Subjects: c.Subjects, Retention: jswire.RetentionLimits, Storage: jswire.StorageFile, Replicas: 1,
		MaxConsumers: -1, MaxMsgs: unlimited(c.Limits.MaxRecords), MaxBytes: unlimited(c.Limits.MaxBytes),
		MaxMsgsPerSubject: unlimited(c.Limits.MaxPerSubject), MaxMsgSize: -1, MaxAge: time.Duration(c.Limits.MaxAge),
		DuplicateWindow: time.Duration(c.Limits.DedupWindow), AllowDirect: true, Metadata: withSettings(nil, set),
	}
	if js.MaxAge > 0 && js.DuplicateWindow > js.MaxAge {
		js.DuplicateWindow = js.MaxAge
		c.Limits.DedupWindow = c.Limits.MaxAge
	}
	b, err := json.Marshal(&js)
	if err != nil {
		panic(fmt.Sprintf("liftbridge: a configuration does not encode: %v", err))
	}
	return b
}

// DeleteStream implements pb.APIServer.
func (d *Door) DeleteStream(ctx context.Context, req *pb.DeleteStreamRequest) (*pb.DeleteStreamResponse, error) {
	c := callerOf(ctx)
	if err := d.authorize(c, req.Name, "DeleteStream"); err != nil {
		return nil, err
	}
	if reserved(req.Name) {
		return nil, status.Error(codes.InvalidArgument, "Stream is reserved")
	}
	defer d.naming.hold(c.Account, req.Name)()
	err := d.deleteHeld(ctx, c, req.Name)
	if err != nil && !errors.Is(err, stream.ErrFilesStay) {
		return nil, err
	}
	if gerr := d.groups.StreamDeleted(ctx, c.Account, req.Name); gerr != nil {
		d.log.Warn("groups not told of a deleted stream", "stream", req.Name, "account", c.Account, "error", gerr)
	}
	told := d.tell(ctx, c.Account, &pb.ActivityStreamEvent{
		Op: pb.ActivityStreamOp_DELETE_STREAM, DeleteStreamOp: &pb.DeleteStreamOp{Stream: req.Name},
	})
	if err != nil {
		return nil, status.Errorf(codes.Internal, "stream %s: %v", req.Name, err)
	}
	return &pb.DeleteStreamResponse{}, told
}

// deleteHeld deletes the stream of a name that the caller holds. Its error is one for the
// client, or stream.ErrFilesStay.
func (d *Door) deleteHeld(ctx context.Context, c *caller, name string) error {
	var err error
	if f := d.find(c.Account, name); f != nil && !f.hidden {
		if !c.alters(f, f.chosen(nil)) {
			return refused(name, "DeleteStream")
		}
		err = d.dir.DropFamily(ctx, f.parts)
	} else if r := d.remains(c.Account, name); r != nil {
		if !c.altersRemains(r) {
			return refused(name, "DeleteStream")
		}
		err = d.dir.DropRemains(ctx, r)
	} else {
		return d.absent(c.Account, name, "stream does not exist")
	}
	if err == nil || errors.Is(err, stream.ErrFilesStay) {
		return err
	}
	d.log.Error("stream not deleted", "stream", name, "account", c.Account, "error", err)
	return status.Errorf(codes.Internal, "stream not deleted: %v", err)
}
