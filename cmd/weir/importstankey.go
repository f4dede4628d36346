package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"

	wire "github.com/weirmq/weir/internal/wire/stan"
	"golang.org/x/crypto/chacha20poly1305"
)

// The first byte of encrypted data says how it is.
const (
	oldAES    = 1 // AES-256-GCM
	oldChaCha = 2 // ChaCha20-Poly1305
)

// oldCipher decrypts the data of one channel's messages; nil: nothing is encrypted.
type oldCipher struct{ by [oldChaCha + 1]cipher.AEAD }

// newOldCipher derives a channel's key from that of the server. There stand as many
// zero bytes before what is hashed as it has itself.
func newOldCipher(key, channel string) (*oldCipher, error) {
	if key == "" {
		return nil, nil
	}
	master := sha256.Sum256([]byte(key))
	what := append(append(master[:], '.'), channel...)
	sum := sha256.Sum256(append(make([]byte, len(what)), what...))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, fmt.Errorf("prepare to decrypt: %w", err)
	}
	c := new(oldCipher)
	if c.by[oldAES], err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("prepare to decrypt: %w", err)
	}
	if c.by[oldChaCha], err = chacha20poly1305.New(sum[:]); err != nil {
		return nil, fmt.Errorf("prepare to decrypt: %w", err)
	}
	return c, nil
}

// open decrypts data in place. What does not begin as encrypted data does is none.
func (c *oldCipher) open(data []byte) ([]byte, error) {
	if c == nil || len(data) == 0 || data[0] != oldAES && data[0] != oldChaCha {
		return data, nil
	}
	a := c.by[data[0]]
	if len(data) < 1+a.NonceSize()+a.Overhead() {
		return data, nil
	}
	nonce, sealed := data[1:1+a.NonceSize()], data[1+a.NonceSize():]
	out, err := a.Open(sealed[:0], nonce, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be decrypted with this key", wire.ErrStored)
	}
	return out, nil
}
