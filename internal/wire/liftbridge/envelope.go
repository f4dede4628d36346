package liftbridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Type says what an envelope holds.
type Type uint8

// Types of envelopes that clients see.
const (
	TypePublish Type = 0
	TypeAck     Type = 1
)

// ErrNotEnvelope says that bytes are no envelope, or a broken one.
var ErrNotEnvelope = errors.New("not an envelope")

const (
	magic        = 0xB90E43B4
	version      = 0
	headerLen    = 8
	headerSumLen = 12
	flagSum      = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// DecodeEnvelope takes an envelope apart. The payload points into data.
func DecodeEnvelope(data []byte) (t Type, payload []byte, err error) {
	if len(data) < headerLen || binary.BigEndian.Uint32(data) != magic {
		return 0, nil, ErrNotEnvelope
	}
	if data[4] != version {
		return 0, nil, fmt.Errorf("%w: version %d", ErrNotEnvelope, data[4])
	}
	at := int(data[5])
	if at < headerLen || at > len(data) {
		return 0, nil, fmt.Errorf("%w: payload at %d of %d bytes", ErrNotEnvelope, at, len(data))
	}
	if data[6]&flagSum != 0 {
		if at != headerSumLen {
			return 0, nil, fmt.Errorf("%w: a checksum and the payload at %d", ErrNotEnvelope, at)
		}
		if crc32.Checksum(data[at:], castagnoli) != binary.BigEndian.Uint32(data[headerLen:]) {
			return 0, nil, fmt.Errorf("%w: wrong checksum", ErrNotEnvelope)
		}
	}
	return Type(data[7]), data[at:], nil
}

func appendHeader(dst []byte, t Type) []byte {
	dst = binary.BigEndian.AppendUint32(dst, magic)
	return append(dst, version, headerLen, 0, byte(t))
}
