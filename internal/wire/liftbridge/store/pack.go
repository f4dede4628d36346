package store

import "fmt"

// errPack says that an entry of Raft's log cannot be read.
var errPack = fmt.Errorf("%w: an entry of the Raft log cannot be read", ErrDamaged)

// pack reads MessagePack.
type pack struct{ cursor }

// Kinds of a value.
const (
	packOther = iota
	packNumber
	packBytes
	packList // of n values
	packMap  // of n keys and n values
)

// next reads the head of a value: its kind, and its number or its length.
func (p *pack) next() (kind int, n uint64) {
	switch c := p.number(1); {
	case c <= 0x7f:
		return packNumber, c
	case c <= 0x8f:
		return packMap, c & 0x0f
	case c <= 0x9f:
		return packList, c & 0x0f
	case c <= 0xbf:
		return packBytes, c & 0x1f
	case c >= 0xe0, c >= 0xc0 && c <= 0xc3:
		return packOther, 0
	case c >= 0xc4 && c <= 0xc6:
		return packBytes, p.number(1 << (c - 0xc4))
	case c >= 0xc7 && c <= 0xc9:
		return packBytes, p.number(1<<(c-0xc7)) + 1 // with its type
	case c == 0xca || c == 0xcb:
		p.bytes(4 << (c - 0xca))
	case c >= 0xcc && c <= 0xcf:
		return packNumber, p.number(1 << (c - 0xcc))
	case c >= 0xd0 && c <= 0xd3:
		return packNumber, p.number(1 << (c - 0xd0))
	case c >= 0xd4 && c <= 0xd8:
		p.bytes(1 + 1<<(c-0xd4))
	case c >= 0xd9 && c <= 0xdb:
		return packBytes, p.number(1 << (c - 0xd9))
	case c == 0xdc || c == 0xdd:
		return packList, p.number(2 << (c - 0xdc))
	default:
		return packMap, p.number(2 << (c - 0xde))
	}
	return packOther, 0
}

// value reads one value and what it is made of; it gives a number, or bytes.
func (p *pack) value() (n uint64, b []byte) {
	for left := uint64(1); left > 0 && !p.short; {
		left--
		kind, size := p.next()
		if size > uint64(len(p.rest)) && kind != packNumber {
			p.short = true
			break
		}
		switch kind {
		case packNumber:
			n = size
		case packBytes:
			b = p.bytes(size)
		case packList:
			left += size
		case packMap:
			left += 2 * size
		}
	}
	return n, b
}

// command gives what an entry of Raft's log tells the servers; nil: it is Raft's own.
func command(entry []byte) ([]byte, error) {
	p := pack{cursor{rest: entry}}
	kind, fields := p.next()
	if kind != packMap {
		return nil, errPack
	}
	var data []byte
	own := false
	for range fields {
		_, name := p.value()
		n, b := p.value()
		if p.short {
			return nil, errPack
		}
		switch string(name) {
		case "Type":
			own = n != 0
		case "Data":
			data = b
		}
	}
	if own {
		return nil, nil
	}
	return data, nil
}
