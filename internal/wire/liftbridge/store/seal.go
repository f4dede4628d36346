package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

// Opener decrypts values with a server's key. It is used by one goroutine.
type Opener struct {
	master  cipher.Block
	wrapped []byte // the key that was unwrapped last
	last    cipher.AEAD
}

// NewOpener takes the key that the server was given: 16 or 32 bytes.
func NewOpener(key []byte) (*Opener, error) {
	if len(key) != 16 && len(key) != 32 {
		return nil, fmt.Errorf("the encryption key has %d bytes, instead of 16 or 32", len(key))
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare to decrypt: %w", err)
	}
	return &Opener{master: b}, nil
}

var errKey = fmt.Errorf("%w: it cannot be decrypted with this key", ErrDamaged)

// Open decrypts a value.
func (o *Opener) Open(value []byte) ([]byte, error) {
	in := cursor{rest: value}
	wrapped := in.bytes(in.number(1))
	if in.short {
		return nil, errKey
	}
	if o.last == nil || !bytes.Equal(wrapped, o.wrapped) {
		key, err := unwrap(o.master, wrapped)
		if err != nil {
			return nil, errKey
		}
		b, err := aes.NewCipher(key)
		if err != nil {
			return nil, errKey
		}
		if o.last, err = cipher.NewGCM(b); err != nil {
			return nil, fmt.Errorf("prepare to decrypt: %w", err)
		}
		o.wrapped = bytes.Clone(wrapped)
	}
	nonce := in.bytes(uint64(o.last.NonceSize()))
	if in.short {
		return nil, errKey
	}
	out, err := o.last.Open(nil, nonce, in.rest, nil)
	if err != nil {
		return nil, errKey
	}
	return out, nil
}

var errUnwrap = errors.New("the key is not wrapped with this one")

// unwrap takes a key out of what RFC 5649 wraps it in.
func unwrap(by cipher.Block, in []byte) ([]byte, error) {
	n := len(in)/8 - 1
	if len(in)%8 != 0 || n < 1 {
		return nil, errUnwrap
	}
	out := bytes.Clone(in)
	if n == 1 {
		by.Decrypt(out, in)
	} else {
		steps(by, out, n)
	}
	size := int(binary.BigEndian.Uint32(out[4:]))
	if !bytes.Equal(out[:4], []byte{0xa6, 0x59, 0x59, 0xa6}) || size <= 8*(n-1) || size > 8*n {
		return nil, errUnwrap
	}
	key, padding := out[8:8+size], out[8+size:]
	if !bytes.Equal(padding, make([]byte, len(padding))) {
		return nil, errUnwrap
	}
	return key, nil
}

// steps undoes the six rounds over n half blocks behind the first one.
func steps(by cipher.Block, b []byte, n int) {
	var block [16]byte
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(block[:], binary.BigEndian.Uint64(b)^uint64(n*j+i))
			copy(block[8:], b[8*i:8*i+8])
			by.Decrypt(block[:], block[:])
			copy(b, block[:8])
			copy(b[8*i:], block[8:])
		}
	}
}
