package liftbridge

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// codec is that of all calls: messages of Protobuf are what gRPC's own makes of them,
// a received or a mem.BufferSlice is what the client sent or is sent, as it is. So a
// call's type decides what is spoken, whatever the client calls it: those that flatc
// generates say application/grpc in some languages, application/grpc+flatbuffers in
// others.
type codec struct {
	encoding.CodecV2
	pool mem.BufferPool // for what came in several pieces
}

// Powers of two that the codec's buffers have, bytes: as a batch keeps its buffer until
// it is answered, none is longer than twice what is in it.
const (
	leastExponent = 10
	mostExponent  = 23
)

func newCodec() codec {
	var exponents []uint8
	for e := uint8(leastExponent); e <= mostExponent; e++ {
		exponents = append(exponents, e)
	}
	pool, err := mem.NewBinaryTieredBufferPool(exponents...)
	if err != nil {
		panic(fmt.Sprintf("pool of buffers up to 1<<%d: %v", mostExponent, err))
	}
	return codec{encoding.GetCodecV2(proto.Name), pool}
}

// received is a gRPC message as it came. Who is done with it frees it; what is not
// freed is garbage.
type received struct{ mem.Buffer }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(mem.BufferSlice); ok {
		return b, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2. A message that came in one piece is not
// copied; of several pieces one is made.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*received); ok {
		m.Buffer = data.MaterializeToBuffer(c.pool)
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// pieces are buffers that batches are written into. The transport gives one back when
// it has written it.
type pieces struct{ pool sync.Pool }

// newPiece is how much room a new buffer has, more than what gRPC deems not worth
// keeping. keepPiece bounds those that are kept.
const (
	newPiece  = 4 << 10
	keepPiece = 1 << 20
)

var batchPieces pieces

// Get implements mem.BufferPool. The buffer is empty, whatever n is.
func (p *pieces) Get(int) *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, newPiece)
	return &b
}

// Put implements mem.BufferPool.
func (p *pieces) Put(b *[]byte) {
	if cap(*b) > keepPiece {
		return
	}
	*b = (*b)[:0]
	p.pool.Put(b)
}

// pooled is a buffer of which b is what was written into it, or into one that took its
// place because there was too little room.
func (p *pieces) pooled(from *[]byte, b []byte) mem.Buffer {
	*from = b
	return mem.NewBuffer(from, p)
}
