package liftbridge

import (
	"github.com/weirmq/weir/internal/wire/liftbridge/fb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// batchService is weir.Stream of api/weir.fbs: publishing and subscribing in batches.
// It says for itself who may call what, as the other service does: by admitStream, and
// by the checks that both have below their messages.
var batchService = grpc.ServiceDesc{
	ServiceName: "weir.Stream",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{
		{StreamName: "Publish", Handler: handlePublishBatches, ServerStreams: true, ClientStreams: true},
		{StreamName: "Subscribe", Handler: handleSubscribeBatches, ServerStreams: true},
	},
	Metadata: "weir.fbs",
}

func handlePublishBatches(door any, call grpc.ServerStream) error {
	d := door.(*Door)
	return d.publishSession(&publishing{ServerStream: call, budget: d.receiveLimit()})
}

func handleSubscribeBatches(door any, call grpc.ServerStream) error {
	var in received
	if err := call.RecvMsg(&in); err != nil {
		return err
	}
	r, err := fb.DecodeSubscribe(in.ReadOnlyData())
	in.Free()
	if err != nil {
		return malformed(err)
	}
	d := door.(*Door)
	return d.subscribe(subscription(&r), &batches{ServerStream: call, limits: limitsOf(&r)})
}

// malformed is how a call ends whose message is none.
func malformed(err error) error { return status.Error(codes.InvalidArgument, err.Error()) }
