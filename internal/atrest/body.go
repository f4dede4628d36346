package atrest

import "fmt"

// A body is data that is encrypted at its place, for a journal batch. What is
// needed to read it, its envelope, lies elsewhere. The data is sealed in pieces of
// 64 KiB, so that damage costs a piece, and the first ones can be sealed while the
// last are not there yet. Little-endian:
//
//	 0  1  cipher
//	 1  7  0
//	 8  8  store key
//	16 16  salt of the file's key
//	32  8  number: 8 bytes of each nonce; the other 4 are the piece's index
//	40 16  tag of no data, with the index 2^32 - 1 and the additional data that the
//	       caller gives: what the body belongs to
//	56 16  each piece's tag
const (
	// BodyPiece is the length of all pieces of a body but the last.
	BodyPiece    = 64 << 10
	envelopeHead = 56
	bindingPart  = 1<<32 - 1
)

func pieces(n int) int { return (n + BodyPiece - 1) / BodyPiece }

// EnvelopeLen is the length of the envelope of n bytes.
func EnvelopeLen(n int) int { return envelopeHead + pieces(n)*Overhead }

// Body encrypts one body. One goroutine at a time uses it; it does not matter what
// its Sealer does meanwhile.
type Body struct {
	s    Sealer
	tags []byte
	done int // bytes that are sealed
}

// Begin makes b the next body of a Sealer.
func (s *Sealer) Begin(b *Body) {
	s.next()
	b.s.seal, b.s.aead = s.seal, s.aead
	b.tags, b.done = b.tags[:0], 0
}

// Fresh says that nothing is sealed yet: then the body may begin again.
func (b *Body) Fresh() bool { return b.done == 0 }

// Seal encrypts the pieces of data that are whole and were not sealed before. data
// begins where the body does; behind it the slice has a capacity of Overhead bytes
// more, which stay as they are.
func (b *Body) Seal(data []byte) {
	for len(data)-b.done >= BodyPiece {
		b.piece(data[:b.done+BodyPiece])
	}
}

// piece encrypts the end of data.
func (b *Body) piece(data []byte) {
	var kept [Overhead]byte
	after := data[len(data) : len(data)+Overhead]
	copy(kept[:], after)
	b.s.aead.Seal(data[b.done:b.done], b.s.scratch.of(b.s.number, uint32(b.done/BodyPiece)), data[b.done:], nil)
	b.tags = append(b.tags, after...)
	copy(after, kept[:])
	b.done = len(data)
}

// Finish encrypts the rest of the data and fills the envelope, of
// EnvelopeLen(len(data)).
func (b *Body) Finish(envelope, data, additional []byte) {
	b.Seal(data)
	if b.done < len(data) {
		b.piece(data)
	}
	clear(envelope[:envelopeHead])
	envelope[0] = byte(b.s.cipher)
	le.PutUint64(envelope[8:], b.s.key)
	copy(envelope[16:], b.s.salt[:])
	le.PutUint64(envelope[32:], b.s.number)
	b.s.aead.Seal(envelope[40:40], b.s.scratch.of(b.s.number, bindingPart), nil, additional)
	copy(envelope[envelopeHead:], b.tags)
}

// Body decrypts data into dst, of the same length. bad names the pieces that are
// not what was sealed, by index; their bytes in dst are zero. The error wraps
// ErrDamaged, ErrUnknown or ErrNoKey, and says that nothing was decrypted.
func (o *Opener) Body(dst, envelope, data, additional []byte) (bad []int, err error) {
	if len(envelope) != EnvelopeLen(len(data)) {
		return nil, fmt.Errorf("length of an envelope: %w", ErrDamaged)
	}
	k := seal{cipher: Cipher(envelope[0]), key: le.Uint64(envelope[8:]), number: le.Uint64(envelope[32:])}
	copy(k.salt[:], envelope[16:])
	a, err := o.of(k)
	if err != nil {
		return nil, err
	}
	if _, err := a.Open(nil, o.scratch.of(k.number, bindingPart), envelope[40:envelopeHead], additional); err != nil {
		return nil, fmt.Errorf("data is not what was encrypted here: %w", ErrDamaged)
	}
	var sealed [BodyPiece + Overhead]byte
	for i := range pieces(len(data)) {
		from, to := i*BodyPiece, min((i+1)*BodyPiece, len(data))
		n := copy(sealed[:], data[from:to])
		n += copy(sealed[n:], envelope[envelopeHead+i*Overhead:][:Overhead])
		if _, err := a.Open(dst[from:from:to], o.scratch.of(k.number, uint32(i)), sealed[:n], nil); err != nil {
			clear(dst[from:to])
			bad = append(bad, i)
		}
	}
	return bad, nil
}

// PieceOf says which piece the byte at an offset of a body is in.
func PieceOf(off int) int { return off / BodyPiece }
