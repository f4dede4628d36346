package atrest

import (
	"bytes"
	"errors"
	"testing"
)

var testContext = []byte("stream 7, file 3")

// verifyBlock checks all of a block that can be checked without its key.
func verifyBlock(b, context []byte) error {
	h, err := ParseHead(b, context)
	if err == nil && int64(len(b)) < h.Len() {
		err = ErrDamaged
	}
	if err == nil {
		err = h.verify(b, context)
	}
	return err
}

func TestABlockGivesBackItsBytes(t *testing.T) {
	for cn, c := range allCiphers {
		k := ringOf(t, c)
		s, o := k.Sealer("segment"), k.Opener("segment")
		for zn, z := range allCompressions {
			for _, plain := range [][]byte{nil, {1}, words(100), words(64 << 10), words(MaxBlock), noise(100), noise(MaxBlock)} {
				b := AppendBlock([]byte("before"), plain, 99, z, s, testContext)[6:]
				must(t, verifyBlock(b, testContext))
				got, h, err := o.Block([]byte("x"), b, MaxBlock, testContext)
				if err != nil || !bytes.Equal(got[1:], plain) || h.Place != 99 || h.Len() != int64(len(b)) || h.Encrypted() != (c != Clear) {
					t.Fatalf("%s %s, %d bytes: %d bytes, %+v, %v", cn, zn, len(plain), len(got)-1, h, err)
				}
			}
		}
	}
}

func TestABlockThatDoesNotShrinkIsStoredPlain(t *testing.T) {
	for name, z := range map[string]Compression{"s2": S2, "zstd": Zstd} {
		b := AppendBlock(nil, noise(10_000), 0, z, nil, nil)
		if h, err := ParseHead(b, nil); err != nil || h.Compression != None || len(b) != BlockHead+10_000 {
			t.Errorf("%s: %d bytes, %+v, %v", name, len(b), h, err)
		}
		b = AppendBlock(nil, words(10_000), 0, z, nil, nil)
		if h, err := ParseHead(b, nil); err != nil || h.Compression != z || len(b) > 2_000 {
			t.Errorf("%s: %d bytes, %+v, %v", name, len(b), h, err)
		}
	}
}

func TestEveryFlippedBitOfABlockIsFound(t *testing.T) {
	for name, c := range allCiphers {
		k := ringOf(t, c)
		o := k.Opener("segment")
		good := AppendBlock(nil, words(300), 64, S2, k.Sealer("segment"), testContext)
		for i := range len(good) * 8 {
			b := bytes.Clone(good)
			b[i/8] ^= 1 << (i % 8)
			if err := verifyBlock(b, testContext); !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s: bit %d, without the key: %v", name, i, err)
			}
			if _, _, err := o.Block(nil, b, MaxBlock, testContext); !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s: bit %d: %v", name, i, err)
			}
		}
	}
}

func TestABlockBelongsToItsFile(t *testing.T) {
	k := newRing(t, AES)
	b := AppendBlock(nil, words(300), 64, None, k.Sealer("segment"), testContext)
	if _, _, err := k.Opener("segment").Block(nil, bytes.Clone(b), MaxBlock, []byte("stream 8")); !errors.Is(err, ErrDamaged) {
		t.Errorf("of another stream: %v", err)
	}
	if _, _, err := k.Opener("manifest").Block(nil, bytes.Clone(b), MaxBlock, testContext); !errors.Is(err, ErrDamaged) {
		t.Errorf("of another kind of file: %v", err)
	}
	for name, o := range map[string]*Opener{"no": (*Keyring)(nil).Opener("segment"), "another": newRing(t, AES).Opener("segment")} {
		if _, _, err := o.Block(nil, bytes.Clone(b), MaxBlock, testContext); !errors.Is(err, ErrNoKey) || errors.Is(err, ErrDamaged) {
			t.Errorf("with %s key: %v", name, err)
		}
	}
}

func TestABlockOverTheLimitIsNotExpanded(t *testing.T) {
	b := AppendBlock(nil, words(5000), 0, S2, nil, nil)
	if _, _, err := (*Keyring)(nil).Opener("").Block(nil, b, 4999, nil); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	// More than a block is not compressed: its length bounds what reading allocates.
	b = AppendBlock(nil, words(MaxBlock+1), 0, S2, nil, nil)
	if h, err := ParseHead(b, nil); err != nil || h.Compression != None {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestNoEncryptedBlockShowsItsBytesAndNoTwoAreAlike(t *testing.T) {
	for name, c := range map[string]Cipher{"aes": AES, "chacha": ChaCha} {
		k := newRing(t, c)
		type nonce struct {
			salt   [saltSize]byte
			number uint64
		}
		seen := map[nonce]bool{}
		bodies := map[string]bool{}
		for range 5 { // five lives of a file, each with the same blocks
			s := k.Sealer("segment")
			for range 20 {
				b := AppendBlock(nil, words(200), 64, None, s, nil)
				h, err := ParseHead(b, nil)
				must(t, err)
				n := nonce{h.seal.salt, h.seal.number}
				if seen[n] || bodies[string(b[BlockHead:])] {
					t.Fatalf("%s: a nonce came twice: %+v", name, n)
				}
				seen[n], bodies[string(b[BlockHead:])] = true, true
				if bytes.Contains(b, []byte("created")) {
					t.Fatalf("%s: a block shows its bytes", name)
				}
			}
		}
	}
}

func TestSealingAndOpeningBlocksAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	plain := words(128 << 10)
	for cn, c := range allCiphers {
		k := ringOf(t, c)
		s, o := k.Sealer("segment"), k.Opener("segment")
		for zn, z := range map[string]Compression{"none": None, "s2": S2} {
			dst := make([]byte, 0, BlockHead+BlockRoom(len(plain)))
			out := make([]byte, 0, len(plain))
			n := testing.AllocsPerRun(20, func() {
				b := AppendBlock(dst, plain, 64, z, s, testContext)
				if _, _, err := o.Block(out, b, MaxBlock, testContext); err != nil {
					t.Fatal(err)
				}
			})
			if n > 0 {
				t.Errorf("%s %s: %v allocations", cn, zn, n)
			}
		}
	}
}

func FuzzBlock(f *testing.F) {
	k := newRing(f, AES)
	s := k.Sealer("segment")
	for _, z := range allCompressions {
		f.Add(AppendBlock(nil, words(200), 64, z, nil, testContext))
		f.Add(AppendBlock(nil, words(200), 64, z, s, testContext))
	}
	o := k.Opener("segment")
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		keyless := verifyBlock(b, testContext)
		out, h, err := o.Block(nil, b, MaxBlock, testContext)
		if err == nil && (keyless != nil || len(out) != h.Plain || len(out) > MaxBlock) {
			t.Fatalf("%d bytes of %+v; without the key: %v", len(out), h, keyless)
		}
	})
}

// FuzzExpand gives a decompressor any bytes under a head that is right.
func FuzzExpand(f *testing.F) {
	for name, z := range allCompressions {
		b, _ := compress(make([]byte, 0, maxStored(500)), words(500), z)
		f.Add(b, uint8(allCompressions[name]), 500)
	}
	f.Fuzz(func(t *testing.T, b []byte, z uint8, n int) {
		if n < 0 || n > MaxBlock {
			return
		}
		dst := make([]byte, n)
		if err := expand(dst, b, Compression(z)); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
	})
}
