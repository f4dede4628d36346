package atrest

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// coders of zstd are made at the first use: they hold some hundred KiB. They start
// no goroutine for whole blocks.
var (
	zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(MaxBlock),
			zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true))
	})
	zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(MaxBlock), zstd.WithDecodeAllCapLimit(true))
	})
)

// compress appends src to dst, compressed if that makes it shorter, and says how.
// dst has room for maxStored(len(src)).
func compress(dst, src []byte, c Compression) ([]byte, Compression) {
	n := len(dst)
	out := dst
	switch {
	case len(src) > MaxBlock:
	case c == S2:
		out = dst[:n+len(s2.Encode(dst[n:cap(dst)], src))]
	case c == Zstd:
		if e, err := zstdEncoder(); err == nil {
			out = e.EncodeAll(src, dst)
		}
	}
	if len(out) > n && len(out)-n < len(src) {
		return out, c
	}
	return append(dst, src...), None
}

// maxStored is how much room sealing a block of n bytes needs.
func maxStored(n int) int { return max(n, s2.MaxEncodedLen(min(n, MaxBlock))) + Overhead }

// expand decompresses src to dst, which has the length that it must give.
func expand(dst, src []byte, c Compression) error {
	switch c {
	case None:
		if len(src) != len(dst) {
			return fmt.Errorf("length of a block: %w", ErrDamaged)
		}
		copy(dst, src)
		return nil
	case S2:
		if n, err := s2.DecodedLen(src); err != nil || n != len(dst) {
			return fmt.Errorf("length of an s2 block: %w", ErrDamaged)
		}
		if _, err := s2.Decode(dst, src); err != nil {
			return fmt.Errorf("decompress: %w: %w", ErrDamaged, err)
		}
		return nil
	case Zstd:
		d, err := zstdDecoder()
		if err != nil {
			return fmt.Errorf("make a decompressor: %w", err)
		}
		out, err := d.DecodeAll(src, dst[:0:len(dst)])
		if err != nil || len(out) != len(dst) {
			return fmt.Errorf("decompress to %d of %d bytes: %w: %w", len(out), len(dst), ErrDamaged, err)
		}
		return nil
	}
	return fmt.Errorf("compression %d: %w", c, ErrUnknown)
}
