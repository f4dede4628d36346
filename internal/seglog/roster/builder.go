package roster

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"unsafe"
)

const (
	// mostListed is how many subjects a list has at most, and mostBytes how long it is.
	mostListed = 1024
	mostBytes  = 64 << 10
	// recentLen is how many subjects a builder of filters knows to be in them.
	recentLen = 16 << 10
)

// seed is of the hashes that a builder compares by; they are in no file.
var seed = maphash.MakeSeed()

// Builder gathers the subjects of a segment. The zero value has none.
type Builder struct {
	// The list: names one after the other, and where they are. table finds them, by
	// open addressing: a place in listed, and one more.
	names  []byte
	listed []listed
	table  []uint16
	last   int // of listed: the subject that came last

	// The filters, once the list became too long.
	subjects, tokens []byte
	recent           []uint64
	before           [8]uint64 // hashes of the first tokens of subjects before
	known            int       // how many of them there are
}

type listed struct {
	off         int
	n           int
	first, last uint64
}

// Add takes the record at a sequence into account. It keeps nothing of subject.
func (b *Builder) Add(subject []byte, seq uint64) {
	if b.subjects != nil {
		b.hash(subject)
		return
	}
	if len(b.listed) > 0 {
		if e := &b.listed[b.last]; string(b.name(e)) == string(subject) {
			e.widen(seq)
			return
		}
	}
	if len(b.table) < 2*(len(b.listed)+1) {
		b.grow()
	}
	at := b.find(subject)
	if i := b.table[at]; i > 0 {
		b.last = int(i) - 1
		b.listed[b.last].widen(seq)
		return
	}
	if len(b.listed) == mostListed || len(b.names)+len(subject)+entryHead*(len(b.listed)+1) > mostBytes {
		b.turn()
		b.hash(subject)
		return
	}
	b.last = len(b.listed)
	b.listed = append(b.listed, listed{len(b.names), len(subject), seq, seq})
	b.names = append(b.names, subject...)
	b.table[at] = uint16(len(b.listed))
}

func (e *listed) widen(seq uint64) {
	e.first, e.last = min(e.first, seq), max(e.last, seq)
}

func (b *Builder) name(e *listed) []byte { return b.names[e.off:][:e.n] }

// find gives the place in the table where a subject is, or where it goes.
func (b *Builder) find(subject []byte) int {
	at := int(maphash.Bytes(seed, subject)) & (len(b.table) - 1)
	for ; b.table[at] > 0; at = (at + 1) & (len(b.table) - 1) {
		if string(b.name(&b.listed[b.table[at]-1])) == string(subject) {
			break
		}
	}
	return at
}

// grow makes the table larger.
func (b *Builder) grow() {
	b.table = make([]uint16, max(8, 2*len(b.table)))
	for i := range b.listed {
		b.table[b.find(b.name(&b.listed[i]))] = uint16(i + 1)
	}
}

// turn makes filters of the list.
func (b *Builder) turn() {
	b.subjects, b.tokens = make([]byte, mostFilter), make([]byte, mostFilter)
	b.recent = make([]uint64, recentLen)
	for i := range b.listed {
		b.hash(b.name(&b.listed[i]))
	}
	b.names, b.listed, b.table = nil, nil, nil
}

// hash puts a subject into the filters, unless it was there just now.
func (b *Builder) hash(subject []byte) {
	h := maphash.Bytes(seed, subject) | 1
	r := &b.recent[h>>1&(recentLen-1)]
	if *r == h {
		return
	}
	*r = h
	s := unsafe.String(unsafe.SliceData(subject), len(subject))
	addHash(b.subjects, hashOf(s))
	b.hashTokens(s)
}

// hashTokens puts the tokens of a subject into their filter, but those that were at the
// same place of the subject before.
func (b *Builder) hashTokens(s string) {
	for at := 0; ; at++ {
		end := strings.IndexByte(s, '.')
		token := s
		if end >= 0 {
			token = s[:end]
		}
		h := hashOf(token)
		if at >= b.known || b.before[at] != h {
			addHash(b.tokens, hashAt(h, at))
		}
		if at < len(b.before) {
			b.before[at], b.known = h, max(b.known, at+1)
		}
		if end < 0 {
			return
		}
		s = s[end+1:]
	}
}

// Size is about how many bytes of memory the builder takes.
func (b *Builder) Size() int64 {
	return int64(cap(b.names) + cap(b.listed)*32 + cap(b.table)*2 + cap(b.subjects) + cap(b.tokens) + cap(b.recent)*8)
}

// Append appends the roster of what was added, bound to a context; nothing where there
// are too many subjects, or none. The builder is not used after it.
func (b *Builder) Append(dst, context []byte) []byte {
	at := len(dst)
	switch {
	case b.subjects != nil:
		subjects, tokens := fold(b.subjects), fold(b.tokens)
		if subjects == nil && tokens == nil {
			return dst
		}
		dst = appendHead(dst, formFilters, len(subjects), len(tokens))
		dst = append(append(dst, subjects...), tokens...)
	case len(b.listed) > 0:
		slices.SortFunc(b.listed, func(x, y listed) int { return bytes.Compare(b.name(&x), b.name(&y)) })
		dst = appendHead(dst, formList, len(b.listed), 0)
		for i := range b.listed {
			e := &b.listed[i]
			dst = binary.LittleEndian.AppendUint16(dst, uint16(e.n))
			dst = binary.LittleEndian.AppendUint64(dst, e.first)
			dst = binary.LittleEndian.AppendUint64(dst, e.last)
			dst = append(dst, b.name(e)...)
		}
	default:
		return dst
	}
	sum(dst[at:], context)
	return dst
}

func appendHead(dst []byte, form byte, n, m int) []byte {
	dst = append(dst, magic...)
	dst = append(dst, 0, 0, 0, 0, version, form, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(m))
	return binary.LittleEndian.AppendUint32(dst, 0)
}

// compareNames orders the entries of a list.
func compareNames(e Entry, name string) int { return cmp.Compare(e.Subject, name) }
