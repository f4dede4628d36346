package liftbridge

import (
	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
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

func handlePublishBatches(door any, s grpc.ServerStream) error {
	d, call := door.(*Door), rpc.FromContext(s.Context())
	return d.publishSession(s.Context(), call, &publishing{call: call, budget: d.receiveLimit()})
}

func handleSubscribeBatches(door any, s grpc.ServerStream) error {
	d, call := door.(*Door), rpc.FromContext(s.Context())
	var r fb.SubscribeRequest
	err := call.Receive(func(b []byte) (err error) {
		r, err = fb.DecodeSubscribe(b)
		return err
	})
	if err != nil {
		return malformed(err)
	}
	return d.subscribe(subscription(&r), &batches{ctx: s.Context(), call: call, limits: limitsOf(&r)})
}

// malformed is how a call ends whose message is none, if it has no status yet.
func malformed(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.InvalidArgument, err.Error())
}
