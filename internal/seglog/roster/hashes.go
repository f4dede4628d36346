package roster

import (
	"math/bits"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A filter of hashes is a row of blocks of 64 bytes, a power of two of them. A hash
// chooses a block by its low bits, and seven of the 512 bits in it. So a filter of
// twice as many blocks becomes the smaller one when its halves are laid over each
// other, and it can be filled before it is known how large it has to be.
const (
	blockBytes = 64
	blockBits  = blockBytes * 8
	bitsOfHash = 7
	// mostFilter is the length of a filter while it is filled: room for half a million
	// hashes.
	mostFilter = 512 << 10
	// fullAt is the part of its bits, in percent, that is set in a filter which is as
	// small as it should be.
	fullAt = 50
	// denseAt is the part from which on a filter lets too much through to be kept: one
	// in five of what is not there.
	denseAt = 78
)

// golden spreads what differs in few bits over all: 2^64 divided by the golden ratio.
const golden = 0x9e3779b97f4a7c15

// mix makes each bit of a hash depend on all.
func mix(h uint64) uint64 {
	h = (h ^ h>>32) * golden
	return h ^ h>>29
}

// hashOf is the hash of a whole subject, and a token's own.
func hashOf(subject string) uint64 { return xxhash.Sum64String(subject) }

// hashAt is the hash of the token with a hash of its own, at a place from 0.
func hashAt(token uint64, at int) uint64 { return mix(token + uint64(at+1)*golden) }

// addHash sets the bits of a hash.
func addHash(filter []byte, h uint64) {
	b := blockOf(filter, h)
	for g, i := mix(h), 0; i < bitsOfHash; i, g = i+1, g>>9 {
		b[g%blockBits/8] |= 1 << (g % 8)
	}
}

// hasHash says whether all bits of a hash are set.
func hasHash(filter []byte, h uint64) bool {
	b := blockOf(filter, h)
	for g, i := mix(h), 0; i < bitsOfHash; i, g = i+1, g>>9 {
		if b[g%blockBits/8]&(1<<(g%8)) == 0 {
			return false
		}
	}
	return true
}

func blockOf(filter []byte, h uint64) *[blockBytes]byte {
	at := h & uint64(len(filter)/blockBytes-1) * blockBytes
	return (*[blockBytes]byte)(filter[at:])
}

// fold makes a filter as small as is worth the while, in place; nil if it lets too much
// through as it is.
func fold(filter []byte) []byte {
	set := 0
	for _, c := range filter {
		set += bits.OnesCount8(c)
	}
	if set*100 > len(filter)*8*denseAt {
		return nil
	}
	for len(filter) > blockBytes {
		half := len(filter) / 2
		set = 0
		for i := range half {
			set += bits.OnesCount8(filter[i] | filter[half+i])
		}
		if set*100 > half*8*fullAt {
			return filter
		}
		for i := range half {
			filter[i] |= filter[half+i]
		}
		filter = filter[:half]
	}
	return filter
}

// eachToken calls f for each token of a subject, with its place, until it returns
// false.
func eachToken(subject string, f func(token string, at int) bool) {
	for at := 0; ; at++ {
		token, rest, more := strings.Cut(subject, ".")
		if !f(token, at) || !more {
			return
		}
		subject = rest
	}
}
