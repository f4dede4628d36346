package outbox

import "github.com/weirmq/weir/internal/chunk"

// packed is the largest chunk that borrowed bytes are gathered in.
const packed = 256 << 10

// Piece is a run of bytes on its way out.
type Piece struct {
	Bytes []byte
	// Chunk is what Bytes lie in; the piece owns it once. Without a chunk the
	// bytes are borrowed and stay unchanged until Send returns.
	Chunk *chunk.Chunk
}

func (p *Piece) free() {
	if p.Chunk != nil {
		p.Chunk.Free()
	}
	*p = Piece{}
}

// Batch is what one sender hands over at once.
type Batch struct {
	Pieces   []Piece
	Size     int  // the sum of the pieces' lengths
	Borrowed bool // some piece has no chunk
}

// Reset empties the batch and keeps its room, unless that has become large.
func (b *Batch) Reset() {
	clear(b.Pieces)
	b.Pieces = trimmed(b.Pieces)
	b.Size, b.Borrowed = 0, false
}

// Drop frees the batch's chunks and empties it.
func (b *Batch) Drop() {
	freeAll(b.Pieces)
	b.Reset()
}

// keep is the number of entries that an idle list keeps room for.
const keep = 256

func trimmed(p []Piece) []Piece {
	if cap(p) > keep {
		return nil
	}
	return p[:0]
}

func freeAll(pieces []Piece) {
	for i := range pieces {
		pieces[i].free()
	}
}

// consume frees the first n bytes of pieces and gives what remains.
func consume(pieces []Piece, n int) []Piece {
	for len(pieces) > 0 {
		p := &pieces[0]
		if n < len(p.Bytes) {
			p.Bytes = p.Bytes[n:]
			return pieces
		}
		n -= len(p.Bytes)
		p.free()
		pieces = pieces[1:]
	}
	return pieces
}

func sizeOf(pieces []Piece) (bytes, held int) {
	for i := range pieces {
		bytes += len(pieces[i].Bytes)
		held += pieces[i].held()
	}
	return bytes, held
}

// held is the memory that the piece keeps from being lent again. A shared
// chunk is counted by what the piece shows of it.
func (p *Piece) held() int {
	if p.Chunk == nil || p.Chunk.Shared() {
		return len(p.Bytes)
	}
	return p.Chunk.Cap()
}

// pack appends the bytes of pieces to dst in chunks of their own and frees the
// pieces.
func pack(dst, pieces []Piece) []Piece {
	left, _ := sizeOf(pieces)
	var c *chunk.Chunk
	for i := range pieces {
		rest := pieces[i].Bytes
		for len(rest) > 0 {
			if c == nil || c.Room() == 0 {
				c = chunk.Get(min(left, packed))
				dst = append(dst, Piece{Chunk: c})
			}
			n := min(c.Room(), len(rest))
			c.B = append(c.B, rest[:n]...)
			dst[len(dst)-1].Bytes = c.B
			rest, left = rest[n:], left-n
		}
		pieces[i].free()
	}
	return dst
}
