package subjects

import (
	"encoding/binary"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// A list of runs, which the caller keeps in its checkpoint and puts under its
// checksum, little endian:
//
//	offset size
//	0      1    version (1)
//	1      4    count of runs
//	5      8    number of the next run
//	13     12 each: number of the run (8), checksum in its head (4); oldest first
const (
	listVersion = 1
	listHeader  = 13
	listEntry   = 12
)

// named is a run as a list names it.
type named struct {
	no  uint64
	sum uint32
}

func appendList(dst []byte, next uint64, runs []named) []byte {
	dst = append(dst, listVersion)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(runs)))
	dst = binary.LittleEndian.AppendUint64(dst, next)
	for _, r := range runs {
		dst = binary.LittleEndian.AppendUint64(dst, r.no)
		dst = binary.LittleEndian.AppendUint32(dst, r.sum)
	}
	return dst
}

// parseList reads a list. An empty one is valid: no run has been written.
func parseList(b []byte) (next uint64, runs []named, err error) {
	if len(b) == 0 {
		return 1, nil, nil
	}
	if len(b) < listHeader || b[0] != listVersion {
		return 0, nil, fmt.Errorf("version of a list of runs: %w", record.ErrDamaged)
	}
	n := uint64(binary.LittleEndian.Uint32(b[1:]))
	next = binary.LittleEndian.Uint64(b[5:])
	if b = b[listHeader:]; uint64(len(b)) != n*listEntry {
		return 0, nil, fmt.Errorf("length of a list of runs: %w", record.ErrDamaged)
	}
	seen := make(map[uint64]bool, n)
	for ; len(b) > 0; b = b[listEntry:] {
		r := named{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])}
		if r.no == 0 || r.no >= next || seen[r.no] {
			return 0, nil, fmt.Errorf("number of a run in a list: %w", record.ErrDamaged)
		}
		seen[r.no] = true
		runs = append(runs, r)
	}
	return next, runs, nil
}
