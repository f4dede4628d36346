package liftbridge

import (
	"context"
	"encoding/binary"
	"reflect"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// outgoing gathers messages of one call, as they go over the wire, and sends them
// together. Where many are sent, a SendMsg and an HTTP/2 frame for each of them cost
// both sides more than the messages. To the client it is the same: frames have nothing
// to do with where messages begin.
//
// gRPC has no call for that. Its transport writes what it is given, with flow control;
// only the names of its types are hidden, so the method is found by reflection. Where it
// is not as it was, messages go one by one.
type outgoing struct {
	ctx   context.Context
	write reflect.Value // not valid: there is no such method
	opts  reflect.Value // its last argument, which says nothing
	one   func(any) error
	piece *[]byte // nil: nothing is gathered
	buf   []byte  // lies in piece
	from  int     // where the last message's prefix is
}

// Bounds of what goes together: when that is enough, and the prefix of each message.
const (
	outgoingBytes = 32 << 10
	prefixLen     = 5
)

func outgoingOf(call grpc.ServerStream) outgoing {
	o := outgoing{ctx: call.Context(), one: call.SendMsg}
	t := grpc.ServerTransportStreamFromContext(o.ctx)
	if t == nil {
		return o
	}
	w := reflect.ValueOf(t).MethodByName("Write")
	if !w.IsValid() {
		return o
	}
	f := w.Type()
	if f.NumIn() != 3 || f.NumOut() != 1 || f.In(0) != reflect.TypeFor[[]byte]() ||
		f.In(1) != reflect.TypeFor[mem.BufferSlice]() || f.Out(0) != reflect.TypeFor[error]() {
		return o
	}
	o.write, o.opts = w, reflect.Zero(f.In(2))
	return o
}

// begin gives the buffer that the next message is to be appended to, and end takes it.
func (o *outgoing) begin() []byte {
	if o.piece == nil {
		o.piece = batchPieces.Get(0)
		o.buf = *o.piece
	}
	o.from = len(o.buf)
	return append(o.buf, make([]byte, prefixLen)...)
}

func (o *outgoing) end(b []byte) {
	binary.BigEndian.PutUint32(b[o.from+1:], uint32(len(b)-o.from-prefixLen))
	o.buf = b
}

// enough says whether so much is gathered that it should be sent.
func (o *outgoing) enough() bool { return len(o.buf) >= outgoingBytes }

// noHeader is the header that the transport would put before the messages.
var noHeader = reflect.ValueOf([]byte(nil))

// flush sends what is gathered. It waits while the client takes nothing.
func (o *outgoing) flush() error {
	if o.piece == nil {
		return nil
	}
	all := mem.BufferSlice{batchPieces.pooled(o.piece, o.buf)}
	o.piece, o.buf = nil, nil
	defer all.Free()
	if !o.write.IsValid() {
		return o.singly(all[0].ReadOnlyData())
	}
	err, _ := o.write.Call([]reflect.Value{noHeader, reflect.ValueOf(all), o.opts})[0].Interface().(error)
	switch {
	case err == nil:
		return nil
	case o.ctx.Err() != nil:
		return ended(o.ctx)
	}
	return status.Error(codes.Unavailable, err.Error())
}

// singly sends each message alone.
func (o *outgoing) singly(all []byte) error {
	for len(all) > 0 {
		n := binary.BigEndian.Uint32(all[1:])
		m := mem.SliceBuffer(append([]byte(nil), all[prefixLen:][:n]...))
		if err := o.one(mem.BufferSlice{m}); err != nil {
			return err
		}
		all = all[prefixLen+n:]
	}
	return nil
}
