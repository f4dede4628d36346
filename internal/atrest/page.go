package atrest

import (
	"fmt"
	"hash/crc32"
)

// A file of pages, little-endian: a head and pages of 4 KiB, each sealed by itself,
// so that any of them can be read, or written again. The last page may be shorter.
//
// Head:
//
//	 0  4  magic "WPGS"
//	 4  4  CRC-32C of bytes 8 to 47
//	 8  1  version, 1
//	 9  1  cipher
//	10  6  0
//	16  8  store key
//	24 16  salt of the file's key
//	40  8  0
//
// Page:
//
//	 0  8  number, the nonce
//	 8  4  CRC-32C of bytes 0 to 7 and of those behind
//	12     the page, encrypted; its index in the file is the additional data
//	    16 tag
const (
	pagesMagic   = "WPGS"
	pagesVersion = 1
	// PagesHead is the length of the head of a file of pages.
	PagesHead = 48
	// PageSize is the bytes of a page, PageStored what they take in a file.
	PageSize   = 4096
	PageStored = pageHead + PageSize + Overhead

	pageHead    = 12
	pagePurpose = "pages"
)

// IsPages says whether a file begins as one of pages does.
func IsPages(b []byte) bool {
	return len(b) >= len(pagesMagic) && string(b[:len(pagesMagic)]) == pagesMagic
}

// PageAt is where a page begins in its file.
func PageAt(index int64) int64 { return PagesHead + index*PageStored }

// PlainSize is how many bytes are in the pages of a file with a length.
func PlainSize(length int64) int64 {
	rest := max(0, length-PagesHead)
	return rest/PageStored*PageSize + max(0, rest%PageStored-pageHead-Overhead)
}

// PageSealer encrypts the pages of one file. One goroutine at a time uses it.
type PageSealer struct {
	s    *Sealer
	head []byte
}

// PageSealer makes a new key for a file of pages. There must be a keyring.
func (k *Keyring) PageSealer() *PageSealer {
	p := &PageSealer{s: k.Sealer(pagePurpose), head: make([]byte, PagesHead)}
	copy(p.head, pagesMagic)
	p.head[8], p.head[9] = pagesVersion, byte(p.s.cipher)
	le.PutUint64(p.head[16:], p.s.key)
	copy(p.head[24:], p.s.salt[:])
	le.PutUint32(p.head[4:], crc32.Checksum(p.head[8:], castagnoli))
	return p
}

// Head is what the file begins with.
func (p *PageSealer) Head() []byte { return p.head }

// AppendPage appends a page, sealed, of at most PageSize bytes.
func (p *PageSealer) AppendPage(dst, page []byte, index int64) []byte {
	p.s.next()
	at := len(dst)
	dst = le.AppendUint64(dst, p.s.number)
	dst = append(dst, 0, 0, 0, 0)
	le.PutUint64(p.s.scratch.more[:], uint64(index))
	dst = p.s.aead.Seal(dst, p.s.scratch.of(p.s.number, 0), page, p.s.scratch.more[:8])
	le.PutUint32(dst[at+8:], pageSum(dst[at:]))
	return dst
}

func pageSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:8], castagnoli), castagnoli, b[pageHead:])
}

// PageOpener decrypts the pages of one file. One goroutine at a time uses it.
type PageOpener struct {
	o    Opener
	seal seal
}

// PageOpener reads the head of a file of pages. Errors wrap ErrDamaged, ErrUnknown
// or ErrNoKey.
func (k *Keyring) PageOpener(head []byte) (*PageOpener, error) {
	if len(head) < PagesHead || !IsPages(head) || crc32.Checksum(head[8:PagesHead], castagnoli) != le.Uint32(head[4:]) {
		return nil, fmt.Errorf("head of an encrypted file: %w", ErrDamaged)
	}
	if head[8] != pagesVersion {
		return nil, fmt.Errorf("version %d of an encrypted file: %w", head[8], ErrUnknown)
	}
	p := &PageOpener{o: *k.Opener(pagePurpose), seal: seal{cipher: Cipher(head[9]), key: le.Uint64(head[16:])}}
	copy(p.seal.salt[:], head[24:])
	_, err := p.o.of(p.seal)
	return p, err
}

// Page appends the bytes of the page that is all of b. It overwrites b.
func (p *PageOpener) Page(dst, b []byte, index int64) ([]byte, error) {
	if len(b) < pageHead+Overhead || len(b) > PageStored || pageSum(b) != le.Uint32(b[8:]) {
		return dst, fmt.Errorf("checksum of a page: %w", ErrDamaged)
	}
	le.PutUint64(p.o.scratch.more[:], uint64(index))
	nonce := p.o.scratch.of(le.Uint64(b), 0)
	dst, err := p.o.aead.Open(dst, nonce, b[pageHead:], p.o.scratch.more[:8])
	if err != nil {
		return dst, fmt.Errorf("page is not what was encrypted: %w", ErrDamaged)
	}
	return dst, nil
}
