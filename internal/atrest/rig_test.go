package atrest

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// cheap is a cost that tests can bear.
var cheap = Cost{LogN: 2, R: 1, P: 1}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRing(t testing.TB, c Cipher) *Keyring {
	t.Helper()
	k, _, err := NewKeyring("secret", c, cheap)
	must(t, err)
	return k
}

// words compress well; noise does not.
func words(n int) []byte { return bytes.Repeat([]byte("order.created "), n/14+1)[:n] }

func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

var allCiphers = map[string]Cipher{"clear": Clear, "aes": AES, "chacha": ChaCha}

var allCompressions = map[string]Compression{"none": None, "s2": S2, "zstd": Zstd}

// ringOf gives a keyring, nil for no cipher.
func ringOf(t testing.TB, c Cipher) *Keyring {
	if c == Clear {
		return nil
	}
	return newRing(t, c)
}
