package atrest

import "fmt"

// A body is data that is encrypted at its place, for a journal batch. What is
// needed to read it, its envelope, lies elsewhere. The data is sealed in pieces of
// 64 KiB, so that damage costs a piece; each has a tag of its own. Little-endian:
//
//	 0  1  cipher
//	 1  7  0
//	 8  8  store key
//	16 16  salt of the file's key
//	32  8  number: 8 bytes of each piece's nonce; the other 4 are the piece's index
//	40 16  each piece's tag
//
// The additional data of the first piece is what the caller gives; the others have
// none: their key and nonce say where they belong.
const (
	bodyPiece    = 64 << 10
	envelopeHead = 40
)

func pieces(n int) int { return (n + bodyPiece - 1) / bodyPiece }

// EnvelopeLen is the length of the envelope of n bytes.
func EnvelopeLen(n int) int { return envelopeHead + pieces(n)*Overhead }

// SealBody encrypts data, behind which the slice has a capacity of Overhead bytes
// more, which stay as they are. It fills the envelope, of EnvelopeLen(len(data)).
func (s *Sealer) SealBody(envelope, data, additional []byte) {
	s.next()
	clear(envelope[:envelopeHead])
	envelope[0] = byte(s.cipher)
	le.PutUint64(envelope[8:], s.key)
	copy(envelope[16:], s.salt[:])
	le.PutUint64(envelope[32:], s.number)
	var kept [Overhead]byte
	for i := range pieces(len(data)) {
		from, to := i*bodyPiece, min((i+1)*bodyPiece, len(data))
		after := data[to : to+Overhead]
		copy(kept[:], after)
		s.aead.Seal(data[from:from], s.scratch.of(s.number, uint32(i)), data[from:to], additional)
		copy(envelope[envelopeHead+i*Overhead:], after)
		copy(after, kept[:])
		additional = nil
	}
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
	var sealed [bodyPiece + Overhead]byte
	for i := range pieces(len(data)) {
		from, to := i*bodyPiece, min((i+1)*bodyPiece, len(data))
		n := copy(sealed[:], data[from:to])
		n += copy(sealed[n:], envelope[envelopeHead+i*Overhead:][:Overhead])
		if _, err := a.Open(dst[from:from:to], o.scratch.of(k.number, uint32(i)), sealed[:n], additional); err != nil {
			clear(dst[from:to])
			bad = append(bad, i)
		}
		additional = nil
	}
	return bad, nil
}

// PieceOf says which piece the byte at an offset of a body is in.
func PieceOf(off int) int { return off / bodyPiece }
