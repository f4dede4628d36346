package atrest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	keySize   = 32
	saltSize  = 16
	nonceSize = 12
	// Overhead is how many bytes encryption adds to what it seals.
	Overhead = 16
)

var le = binary.LittleEndian

// Keyring is the store keys of a data directory. It never changes. A nil Keyring
// has no key: it seals nothing and opens only what is clear.
type Keyring struct {
	cipher Cipher // of what is written
	keys   []storeKey
}

type storeKey struct {
	id  uint64
	key [keySize]byte
}

// current is the key for what is written.
func (k *Keyring) current() *storeKey { return &k.keys[len(k.keys)-1] }

func (k *Keyring) find(id uint64) *storeKey {
	if k == nil {
		return nil
	}
	for i := range k.keys {
		if k.keys[i].id == id {
			return &k.keys[i]
		}
	}
	return nil
}

func newStoreKey() storeKey {
	var s storeKey
	var b [8]byte
	for s.id == 0 {
		rand.Read(b[:])
		s.id = le.Uint64(b[:])
	}
	rand.Read(s.key[:])
	return s
}

// newAEAD makes a cipher of a key.
func newAEAD(c Cipher, key []byte) (cipher.AEAD, error) {
	switch c {
	case AES:
		b, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("make a cipher: %w", err)
		}
		return cipher.NewGCM(b)
	case ChaCha:
		return chacha20poly1305.New(key)
	}
	return nil, fmt.Errorf("cipher %d: %w", c, ErrUnknown)
}

// derive makes the key of a file.
func (s *storeKey) derive(c Cipher, purpose string, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.key[:], salt, "weir at rest 1 "+purpose, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive a file's key: %w", err)
	}
	return newAEAD(c, key)
}

// seal names the key of sealed bytes, and the number that is their nonce. On disk
// it has 40 bytes: 0 cipher, 1 zeros, 8 store key, 16 salt, 32 number.
type seal struct {
	cipher Cipher
	key    uint64
	salt   [saltSize]byte
	number uint64
}

// scratch is what a cipher reads besides the data; it would cost an allocation
// each time.
type scratch struct {
	nonce [nonceSize]byte
	more  [BlockHead - 12 + MaxContext]byte
}

// of gives the nonce of a part of what is sealed under one number.
func (b *scratch) of(number uint64, part uint32) []byte {
	le.PutUint64(b.nonce[:], number)
	le.PutUint32(b.nonce[8:], part)
	return b.nonce[:]
}

// additional gives the additional data of a block.
func (b *scratch) additional(head, context []byte) []byte {
	n := copy(b.more[:], head[12:BlockHead])
	return b.more[:n+copy(b.more[n:], context)]
}

// Sealer encrypts what is written to one file, as long as one process writes it.
// One goroutine at a time uses it.
type Sealer struct {
	seal    // of what was sealed last
	aead    cipher.AEAD
	scratch scratch
}

// Sealer makes a new key for a file. Purposes separate kinds of files. It is nil
// without a keyring: then nothing is encrypted.
func (k *Keyring) Sealer(purpose string) *Sealer {
	if k == nil {
		return nil
	}
	cur := k.current()
	s := &Sealer{seal: seal{cipher: k.cipher, key: cur.id}}
	rand.Read(s.salt[:])
	var err error
	if s.aead, err = cur.derive(k.cipher, purpose, s.salt[:]); err != nil {
		panic("atrest: " + err.Error()) // a keyring has a known cipher and whole keys
	}
	return s
}

// next takes a number that was never used under this key.
func (s *Sealer) next() { s.number++ }

// Opener decrypts what was read. It keeps the key of the file that it opened
// last; one goroutine uses it.
type Opener struct {
	keys    *Keyring
	purpose string
	last    seal
	aead    cipher.AEAD
	scratch scratch
}

// Opener gives an Opener for one kind of files. A nil keyring gives one that opens
// what is clear.
func (k *Keyring) Opener(purpose string) *Opener { return &Opener{keys: k, purpose: purpose} }

// of gives the cipher for sealed bytes.
func (o *Opener) of(s seal) (cipher.AEAD, error) {
	if o.aead != nil && o.last.cipher == s.cipher && o.last.key == s.key && o.last.salt == s.salt {
		return o.aead, nil
	}
	return o.derive(s)
}

func (o *Opener) derive(s seal) (cipher.AEAD, error) {
	key := o.keys.find(s.key)
	if key == nil {
		return nil, fmt.Errorf("store key %x: %w", s.key, ErrNoKey)
	}
	a, err := key.derive(s.cipher, o.purpose, s.salt[:])
	if err != nil {
		return nil, err
	}
	o.aead, o.last = a, s
	return a, nil
}
