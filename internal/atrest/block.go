package atrest

import (
	"fmt"
	"hash/crc32"
	"slices"
)

// A block, little-endian: a head, and what is stored of its bytes.
//
//	 0  4  magic "WBLK"
//	 4  4  CRC-32C of the context and bytes 8 to 63
//	 8  4  CRC-32C of the context and what is stored
//	12  1  version, 1
//	13  1  compression: 0 none, 1 s2, 2 zstd
//	14  1  cipher: 0 none, 1 AES-256-GCM, 2 ChaCha20-Poly1305
//	15  1  0
//	16  4  length of the bytes
//	20  4  length of what is stored behind the head
//	24  8  place of the bytes in what the file holds, counted before transforms
//	32  8  store key; 0 where there is no cipher, as the next two
//	40 16  salt of the file's key
//	56  8  number, the nonce: 8 bytes of it and 4 of zeros
//
// Bytes 12 to 63 and the context are the additional data of the cipher. The
// context is what the caller knows of the file: it is not stored.
const (
	blockMagic   = "WBLK"
	blockVersion = 1
	// BlockHead is the length of a block's head.
	BlockHead = 64
	// MaxBlock is the largest number of bytes in a compressed block, and in any
	// block of a segment.
	MaxBlock = 256 << 10
	// MaxContext is the longest context, in bytes.
	MaxContext = 32
)

// BlockMagic is what each block begins with.
const BlockMagic = blockMagic

// Head is what a block's head says.
type Head struct {
	Compression Compression
	Plain       int // bytes
	Stored      int // bytes behind the head
	Place       int64
	sum         uint32
	seal        seal
}

// Encrypted says whether the block was.
func (h *Head) Encrypted() bool { return h.seal.cipher != Clear }

// Len is the block's length in its file.
func (h *Head) Len() int64 { return BlockHead + int64(h.Stored) }

// AppendBlock appends plain as a block. Its bytes are compressed if that makes
// them fewer and there are at most MaxBlock, and encrypted if s is not nil. It
// allocates nothing where dst has room for BlockHead + BlockRoom(len(plain)). The
// context has at most MaxContext bytes.
func AppendBlock(dst, plain []byte, place int64, c Compression, s *Sealer, context []byte) []byte {
	at := len(dst)
	dst = slices.Grow(dst, BlockHead+maxStored(len(plain)))[:at+BlockHead]
	dst, c = compress(dst, plain, c)
	head := dst[at : at+BlockHead]
	clear(head)
	copy(head, blockMagic)
	head[12], head[13] = blockVersion, byte(c)
	le.PutUint32(head[16:], uint32(len(plain)))
	le.PutUint64(head[24:], uint64(place))
	if s == nil {
		le.PutUint32(head[20:], uint32(len(dst)-at-BlockHead))
	} else {
		le.PutUint32(head[20:], uint32(len(dst)-at-BlockHead+Overhead))
		s.next()
		head[14] = byte(s.cipher)
		le.PutUint64(head[32:], s.key)
		copy(head[40:], s.salt[:])
		le.PutUint64(head[56:], s.number)
		body := dst[at+BlockHead:]
		out := s.aead.Seal(body[:0], s.scratch.of(s.number, 0), body, s.scratch.additional(head, context))
		dst = dst[:at+BlockHead+len(out)]
	}
	sum := crc32.Checksum(context, castagnoli)
	le.PutUint32(head[8:], crc32.Update(sum, castagnoli, dst[at+BlockHead:]))
	le.PutUint32(head[4:], crc32.Update(sum, castagnoli, head[8:]))
	return dst
}

// BlockRoom is how many bytes may be stored of n, at some time while they are
// sealed.
func BlockRoom(n int) int { return maxStored(n) }

// ParseHead reads a block's head. Its errors wrap ErrDamaged or ErrUnknown.
func ParseHead(b, context []byte) (Head, error) {
	if len(b) < BlockHead || string(b[:4]) != blockMagic {
		return Head{}, fmt.Errorf("magic of a block: %w", ErrDamaged)
	}
	b = b[:BlockHead]
	sum := crc32.Checksum(context, castagnoli)
	if crc32.Update(sum, castagnoli, b[8:]) != le.Uint32(b[4:]) {
		return Head{}, fmt.Errorf("checksum of a block's head: %w", ErrDamaged)
	}
	if b[12] != blockVersion || Compression(b[13]) > Zstd || Cipher(b[14]) > ChaCha {
		return Head{}, fmt.Errorf("block of version %d, compression %d, cipher %d: %w", b[12], b[13], b[14], ErrUnknown)
	}
	h := Head{
		Compression: Compression(b[13]),
		Plain:       int(le.Uint32(b[16:])), Stored: int(le.Uint32(b[20:])), Place: int64(le.Uint64(b[24:])),
		sum:  le.Uint32(b[8:]),
		seal: seal{cipher: Cipher(b[14]), key: le.Uint64(b[32:]), number: le.Uint64(b[56:])},
	}
	copy(h.seal.salt[:], b[40:])
	body := h.Stored
	if h.Encrypted() {
		body -= Overhead
	}
	fits := body == h.Plain || h.Compression != None && body >= 0 && body < h.Plain && h.Plain <= MaxBlock
	if !fits || h.Place < 0 {
		return Head{}, fmt.Errorf("lengths of a block: %w", ErrDamaged)
	}
	return h, nil
}

// verify checks what is stored, which needs no key. b begins with the block.
func (h *Head) verify(b, context []byte) error {
	if crc32.Update(crc32.Checksum(context, castagnoli), castagnoli, b[BlockHead:h.Len()]) != h.sum {
		return fmt.Errorf("checksum of a block: %w", ErrDamaged)
	}
	return nil
}

// Block appends the bytes of the block that b begins with to dst, and gives its
// head. It overwrites b. A block of more than limit bytes is damaged; it never
// allocates more. Errors wrap ErrDamaged, ErrUnknown or, where the key is not
// there, ErrNoKey.
func (o *Opener) Block(dst, b []byte, limit int, context []byte) ([]byte, Head, error) {
	h, err := ParseHead(b, context)
	if err != nil {
		return dst, h, err
	}
	if h.Plain > limit || int64(len(b)) < h.Len() {
		return dst, h, fmt.Errorf("block of %d bytes is too long or cut off: %w", h.Plain, ErrDamaged)
	}
	if err := h.verify(b, context); err != nil {
		return dst, h, err
	}
	body := b[BlockHead:h.Len()]
	if h.Encrypted() {
		a, err := o.of(h.seal)
		if err != nil {
			return dst, h, err
		}
		if body, err = a.Open(body[:0], o.scratch.of(h.seal.number, 0), body, o.scratch.additional(b, context)); err != nil {
			return dst, h, fmt.Errorf("block is not what was encrypted: %w", ErrDamaged)
		}
	}
	at := len(dst)
	dst = slices.Grow(dst, h.Plain)[:at+h.Plain]
	return dst, h, expand(dst[at:], body, h.Compression)
}
