package atrest

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// Errors.
var (
	// ErrDamaged: the bytes are not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrWrongKey: the configured text does not open the key file.
	ErrWrongKey = errors.New("the encryption key is not the one that this data was written with")
	// ErrNoKey: data is encrypted under a store key that the key file does not have,
	// or no key is configured.
	ErrNoKey = errors.New("data is encrypted and its key is not there")
	// ErrUnknown: bytes are transformed in a way that this program does not know.
	ErrUnknown = errors.New("transform is not known to this program")
)

// Cipher is how bytes are encrypted. Its numbers are in files.
type Cipher uint8

// Ciphers.
const (
	Clear  Cipher = iota
	AES           // AES-256-GCM
	ChaCha        // ChaCha20-Poly1305
)

// DefaultCipher is the faster one on this kind of machine.
func DefaultCipher() Cipher {
	switch runtime.GOARCH {
	case "amd64", "arm64", "s390x", "ppc64le": // with instructions for AES
		return AES
	}
	return ChaCha
}

// ParseCipher reads a name as it is configured.
func ParseCipher(name string) (Cipher, error) {
	switch strings.ToLower(name) {
	case "aes":
		return AES, nil
	case "chacha", "chachapoly":
		return ChaCha, nil
	}
	return Clear, fmt.Errorf("cipher %q is none of aes, chacha, chachapoly", name)
}

// Compression is how a block is compressed. Its numbers are in files.
type Compression uint8

// Compressions.
const (
	None Compression = iota
	S2
	Zstd
)

// ParseCompression reads a name as it is configured.
func ParseCompression(name string) (Compression, error) {
	switch strings.ToLower(name) {
	case "none", "":
		return None, nil
	case "s2":
		return S2, nil
	case "zstd":
		return Zstd, nil
	}
	return None, fmt.Errorf("compression %q is none of none, s2, zstd", name)
}
