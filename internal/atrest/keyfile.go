package atrest

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/crc32"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/scrypt"
)

// The key file, little-endian:
//
//	 0  4  magic "WKEY"
//	 4  4  CRC-32C of what follows
//	 8  1  version, 1
//	 9  1  scrypt: binary logarithm of N
//	10  1  scrypt: r
//	11  1  scrypt: p
//	12  4  count of store keys, from 1; the last is for what is written
//	16 16  salt of scrypt
//	32 16  check: HKDF of the wrapping key, so that a wrong text is told from damage
//	48 68  each store key
//	       0 8 number · 8 12 nonce, random · 20 48 the key, encrypted by
//	       ChaCha20-Poly1305 with bytes 8 to 47 and the number as additional data
const (
	keyFileMagic   = "WKEY"
	keyFileVersion = 1
	keyFileHeader  = 48
	keyFileEntry   = 8 + nonceSize + keySize + Overhead
	maxStoreKeys   = 4096
	checkSize      = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Cost is the work of making a key of a text, as for scrypt. The zero value is
// what a server uses: 32 MiB and about a tenth of a second.
type Cost struct{ LogN, R, P uint8 }

func (c Cost) orDefault() Cost {
	if c == (Cost{}) {
		return Cost{LogN: 15, R: 8, P: 1}
	}
	return c
}

// bounded says whether a key file may ask for such work: at most 1 GiB.
func (c Cost) bounded() bool {
	return c.LogN >= 1 && c.LogN <= 20 && c.R >= 1 && c.R <= 8 && c.P >= 1 && c.P <= 4
}

// wrapping is what a configured text makes with the salt of a key file.
type wrapping struct {
	head  []byte // bytes 8 to 47 of the file, but for the count of keys
	key   []byte
	check []byte
}

func wrap(text string, c Cost, salt []byte) (*wrapping, error) {
	root, err := scrypt.Key([]byte(text), salt, 1<<c.LogN, int(c.R), int(c.P), keySize)
	if err != nil {
		return nil, fmt.Errorf("make a key of the configured one: %w", err)
	}
	w := &wrapping{}
	if w.key, err = hkdf.Key(sha256.New, root, nil, "weir at rest 1 wrap", keySize); err != nil {
		return nil, fmt.Errorf("make a key of the configured one: %w", err)
	}
	if w.check, err = hkdf.Key(sha256.New, root, nil, "weir at rest 1 check", checkSize); err != nil {
		return nil, fmt.Errorf("make a key of the configured one: %w", err)
	}
	w.head = append(w.head, keyFileVersion, c.LogN, c.R, c.P)
	w.head = append(append(w.head, salt...), w.check...)
	return w, nil
}

func (w *wrapping) additional(id uint64) []byte { return le.AppendUint64(bytes.Clone(w.head), id) }

// file writes a key file.
func (w *wrapping) file(keys []storeKey) ([]byte, error) {
	a, err := chacha20poly1305.New(w.key)
	if err != nil {
		return nil, fmt.Errorf("wrap the store keys: %w", err)
	}
	b := append([]byte(keyFileMagic), 0, 0, 0, 0)
	b = append(b, w.head[:4]...)
	b = le.AppendUint32(b, uint32(len(keys)))
	b = append(b, w.head[4:]...)
	for i := range keys {
		var nonce [nonceSize]byte
		rand.Read(nonce[:])
		b = le.AppendUint64(b, keys[i].id)
		b = append(b, nonce[:]...)
		b = a.Seal(b, nonce[:], keys[i].key[:], w.additional(keys[i].id))
	}
	le.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return b, nil
}

// NewKeyring makes a keyring with one new store key, and its key file. What it
// seals can be read only as long as that file is kept.
func NewKeyring(text string, c Cipher, cost Cost) (*Keyring, []byte, error) {
	if _, err := newAEAD(c, make([]byte, keySize)); err != nil {
		return nil, nil, err
	}
	return rewrap(nil, text, c, cost)
}

// rewrap adds a store key and writes a key file under a text.
func rewrap(keys []storeKey, text string, c Cipher, cost Cost) (*Keyring, []byte, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	w, err := wrap(text, cost.orDefault(), salt)
	if err != nil {
		return nil, nil, err
	}
	k := &Keyring{cipher: c, keys: append(keys, newStoreKey())}
	b, err := w.file(k.keys)
	return k, b, err
}

// OpenKeyring reads a key file with the configured text or, where that is another
// one, with the previous text, if there is one. Then it gives a key file under the
// new text that has to replace the old one before anything is written: file is nil
// if the old one stays. The cipher is for what is written. Errors wrap ErrWrongKey,
// ErrDamaged or ErrUnknown.
func OpenKeyring(b []byte, text, previous string, c Cipher) (k *Keyring, file []byte, err error) {
	if _, err := newAEAD(c, make([]byte, keySize)); err != nil {
		return nil, nil, err
	}
	cost, err := checkKeyFile(b)
	if err != nil {
		return nil, nil, err
	}
	keys, err := unwrap(b, text, cost)
	if err == nil {
		return &Keyring{cipher: c, keys: keys}, nil, nil
	}
	if previous == "" {
		return nil, nil, err
	}
	keys, err = unwrap(b, previous, cost)
	if err != nil {
		return nil, nil, err
	}
	if len(keys) == maxStoreKeys {
		return nil, nil, fmt.Errorf("key file: its key was changed %d times, which is the most", maxStoreKeys)
	}
	return rewrap(keys, text, c, cost)
}

// checkKeyFile checks all that can be checked without a key.
func checkKeyFile(b []byte) (Cost, error) {
	switch {
	case len(b) < keyFileHeader || string(b[:4]) != keyFileMagic:
		return Cost{}, fmt.Errorf("magic of the key file: %w", ErrDamaged)
	case crc32.Checksum(b[8:], castagnoli) != le.Uint32(b[4:]):
		return Cost{}, fmt.Errorf("checksum of the key file: %w", ErrDamaged)
	case b[8] != keyFileVersion:
		return Cost{}, fmt.Errorf("version %d of the key file: %w", b[8], ErrUnknown)
	}
	c := Cost{LogN: b[9], R: b[10], P: b[11]}
	n := le.Uint32(b[12:])
	if !c.bounded() || n == 0 || n > maxStoreKeys || len(b) != keyFileHeader+int(n)*keyFileEntry {
		return c, fmt.Errorf("lengths of the key file: %w", ErrDamaged)
	}
	return c, nil
}

func unwrap(b []byte, text string, c Cost) ([]storeKey, error) {
	w, err := wrap(text, c, b[16:32])
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(w.check, b[32:keyFileHeader]) != 1 {
		return nil, ErrWrongKey
	}
	a, err := chacha20poly1305.New(w.key)
	if err != nil {
		return nil, fmt.Errorf("unwrap the store keys: %w", err)
	}
	keys := make([]storeKey, le.Uint32(b[12:]))
	for i := range keys {
		e := b[keyFileHeader+i*keyFileEntry:][:keyFileEntry]
		keys[i].id = le.Uint64(e)
		key, err := a.Open(nil, e[8:20], e[20:], w.additional(keys[i].id))
		if err != nil || keys[i].id == 0 {
			return nil, fmt.Errorf("store key %d of the key file: %w", i+1, ErrDamaged)
		}
		copy(keys[i].key[:], key)
	}
	return keys, nil
}
