package liftbridge

import "sync"

// pieces are buffers that batches are written into.
type pieces struct{ pool sync.Pool }

// newPiece is how much room a new buffer has. keepPiece bounds those that are kept.
const (
	newPiece  = 4 << 10
	keepPiece = 1 << 20
)

var batchPieces pieces

// get lends an empty buffer.
func (p *pieces) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, newPiece)
	return &b
}

// put takes a buffer back, of which b is what was written into it, or into one that took
// its place because there was too little room.
func (p *pieces) put(from *[]byte, b []byte) {
	if cap(b) > keepPiece {
		return
	}
	*from = b[:0]
	p.pool.Put(from)
}
