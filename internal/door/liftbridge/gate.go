package liftbridge

import (
	"context"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// PauseStream implements pb.APIServer.
func (d *Door) PauseStream(ctx context.Context, req *pb.PauseStreamRequest) (*pb.PauseStreamResponse, error) {
	c := callerOf(ctx)
	f, list, err := d.gated(c, req.Name, req.Partitions, "PauseStream")
	if err != nil {
		return nil, err
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	if err := d.pause(ctx, c.Account, f, list, req.ResumeAll); err != nil {
		return nil, err
	}
	return &pb.PauseStreamResponse{}, nil
}

// gated finds the partitions whose gates a call is about.
func (d *Door) gated(c *caller, name string, list []int32, action string) (*family, []int32, error) {
	if err := d.authorize(c, name, action); err != nil {
		return nil, nil, err
	}
	f := d.find(c.Account, name)
	if f == nil || f.hidden {
		if len(list) == 0 {
			return nil, nil, d.absent(c.Account, name, "stream not found")
		}
		return nil, nil, d.absent(c.Account, name, "stream does not exist")
	}
	chosen := f.chosen(list)
	if !c.alters(f, chosen) {
		return nil, nil, refused(name, action)
	}
	if !f.native {
		return nil, nil, status.Errorf(codes.FailedPrecondition, "stream %s is JetStream's: it can be changed there", name)
	}
	if chosen == nil {
		return nil, nil, status.Error(codes.NotFound, "partition does not exist")
	}
	return f, chosen, nil
}

// change changes the gates of partitions.
func (d *Door) change(ctx context.Context, f *family, list []int32, to func(c *stream.Config) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range list {
		g.Go(func() error { return f.parts[n].Change(ctx, to) })
	}
	if err := g.Wait(); err != nil {
		if f.gone() {
			return status.Error(codes.NotFound, "stream does not exist")
		}
		return status.Errorf(codes.Internal, "stream not changed: %v", err)
	}
	return nil
}

func stamp(first, last *int64) {
	*last = now()
	if *first == 0 {
		*first = *last
	}
}

// pause closes the gates of partitions, which may be closed. d.changing is held.
func (d *Door) pause(ctx context.Context, account string, f *family, list []int32, resumeAll bool) error {
	err := d.change(ctx, f, list, func(c *stream.Config) error {
		c.Gate.Paused, c.Gate.ResumeAll = true, resumeAll
		stamp(&c.Gate.PausedFirst, &c.Gate.PausedLast)
		return nil
	})
	if err == nil {
		err = d.sayResumeAll(ctx, f, resumeAll)
	}
	if err != nil {
		return err
	}
	return d.tell(ctx, account, &pb.ActivityStreamEvent{
		Op: pb.ActivityStreamOp_PAUSE_STREAM, PauseStreamOp: &pb.PauseStreamOp{Stream: f.name, Partitions: list, ResumeAll: resumeAll},
	})
}

// sayResumeAll has all partitions of a family say whether who resumes one resumes all: it is
// what the last pause of the stream said. d.changing is held.
func (d *Door) sayResumeAll(ctx context.Context, f *family, all bool) error {
	list := f.which(func(g stream.Gate) bool { return g.ResumeAll != all })
	return d.change(ctx, f, list, func(c *stream.Config) error {
		c.Gate.ResumeAll = all
		return nil
	})
}

// which gives the partitions with such a gate.
func (f *family) which(such func(g stream.Gate) bool) (list []int32) {
	for n, s := range f.parts {
		if s != nil && such(s.Config().Gate) {
			list = append(list, int32(n))
		}
	}
	return list
}

// resumes says whether there is something to resume for who publishes to a partition, or
// wants to read it: it or, where that goes with it, others.
func resumes(s *stream.Stream) bool {
	g := &s.Config().Gate
	return g.Paused || g.ResumeAll
}

// openGate ends a pause.
func openGate(c *stream.Config) error {
	c.Gate.Paused, c.Gate.ResumeAll = false, false
	stamp(&c.Gate.PausedFirst, &c.Gate.PausedLast)
	return nil
}

// resume opens the gate of a partition, and of others where that goes with it.
func (d *Door) resume(ctx context.Context, account string, f *family, n int32) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	if !resumes(f.parts[n]) {
		return nil // somebody else did it
	}
	list := []int32{n}
	if f.parts[n].Config().Gate.ResumeAll {
		list = f.which(func(g stream.Gate) bool { return g.Paused })
	}
	err := d.change(ctx, f, list, openGate)
	if err == nil {
		err = d.sayResumeAll(ctx, f, false)
	}
	if err != nil || len(list) == 0 {
		return err
	}
	if set := setOf(f.parts[n]); set != nil && set.AutoPause > 0 {
		d.pauser.look()
	}
	return d.tell(ctx, account, &pb.ActivityStreamEvent{
		Op: pb.ActivityStreamOp_RESUME_STREAM, ResumeStreamOp: &pb.ResumeStreamOp{Stream: f.name, Partitions: list},
	})
}

// SetStreamReadonly implements pb.APIServer.
func (d *Door) SetStreamReadonly(ctx context.Context, req *pb.SetStreamReadonlyRequest) (*pb.SetStreamReadonlyResponse, error) {
	c := callerOf(ctx)
	f, list, err := d.gated(c, req.Name, req.Partitions, "SetStreamReadonly")
	if err != nil {
		return nil, err
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	err = d.change(ctx, f, list, func(c *stream.Config) error {
		c.Gate.ReadOnly, c.Limits.Sealed = req.Readonly, req.Readonly || describedSealed(c)
		stamp(&c.Gate.ReadOnlyFirst, &c.Gate.ReadOnlyLast)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = d.tell(ctx, c.Account, &pb.ActivityStreamEvent{
		Op:                  pb.ActivityStreamOp_SET_STREAM_READONLY,
		SetStreamReadonlyOp: &pb.SetStreamReadonlyOp{Stream: f.name, Partitions: list, Readonly: req.Readonly},
	})
	return &pb.SetStreamReadonlyResponse{}, err
}
