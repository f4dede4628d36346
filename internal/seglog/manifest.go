package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/weirmq/weir/internal/record"
)

// Manifest: what the last checkpoint made durable. Little endian:
//
//	offset size
//	0      4    magic "WSM1"
//	4      4    checksum of the file from offset 8
//	8      1    version (1)
//	9      1    flags: 1 there is a state
//	10     2    0
//	12     4    count of segments
//	16     8    partition id
//	24     4    partition incarnation
//	28     4    0
//	32     8    first sequence that is not trimmed
//	40     8    last sequence
//	48     8    number of the next segment
//	56     8    length of the state
//	64          segments, then the state
//
// Segment:
//
//	0      8    number
//	8      8    base sequence
//	16     8    last sequence
//	24     8    highest time
//	32     8    count of records
//	40     8    length of header and frames, synced
//	48     8    length of the footer, synced; 0: none
//	56     1    1 if sealed
//	57     1    layout: 0 frames as they are, 1 frames in blocks
//	58     6    length of header and blocks in the file, with blocks
const (
	manifestMagic   = "WSM1"
	manifestVersion = 1
	manifestHeader  = 64
	manifestSegment = 64

	manifestHasState = 1

	manifestName = "manifest"
	manifestTemp = "manifest.tmp"
)

// manifest is the content of a manifest file.
type manifest struct {
	id       record.Identity
	first    uint64
	last     uint64
	next     uint64 // number of the next segment
	segments []*segment
	state    []byte // nil: none was saved
}

func appendManifest(dst []byte, m *manifest) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, manifestHeader+len(m.segments)*manifestSegment)...)
	dst = append(dst, m.state...)
	b := dst[at:]
	copy(b, manifestMagic)
	b[8] = manifestVersion
	if m.state != nil {
		b[9] = manifestHasState
	}
	binary.LittleEndian.PutUint32(b[12:], uint32(len(m.segments)))
	binary.LittleEndian.PutUint64(b[16:], m.id.ID)
	binary.LittleEndian.PutUint32(b[24:], m.id.Incarnation)
	binary.LittleEndian.PutUint64(b[32:], m.first)
	binary.LittleEndian.PutUint64(b[40:], m.last)
	binary.LittleEndian.PutUint64(b[48:], m.next)
	binary.LittleEndian.PutUint64(b[56:], uint64(len(m.state)))
	for i, s := range m.segments {
		p := b[manifestHeader+i*manifestSegment:]
		binary.LittleEndian.PutUint64(p, s.no)
		binary.LittleEndian.PutUint64(p[8:], s.base)
		binary.LittleEndian.PutUint64(p[16:], s.last)
		binary.LittleEndian.PutUint64(p[24:], uint64(s.maxTime))
		binary.LittleEndian.PutUint64(p[32:], s.count)
		binary.LittleEndian.PutUint64(p[40:], uint64(s.length))
		binary.LittleEndian.PutUint64(p[48:], uint64(s.footer))
		if s.sealed {
			p[56] = 1
		}
		p[57] = s.layout
		putUint48(p[58:], s.stored)
	}
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return dst
}

// parseManifest reads a whole manifest. Its state points into b. The error wraps
// record.ErrDamaged, unless the version is a later one.
func parseManifest(b []byte) (*manifest, error) {
	if len(b) < manifestHeader || string(b[:4]) != manifestMagic {
		return nil, fmt.Errorf("manifest magic: %w", record.ErrDamaged)
	}
	if crc32.Checksum(b[8:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, fmt.Errorf("checksum of the manifest: %w", record.ErrDamaged)
	}
	if b[8] != manifestVersion {
		return nil, fmt.Errorf("manifest version %d is not known", b[8])
	}
	n, state := uint64(binary.LittleEndian.Uint32(b[12:])), binary.LittleEndian.Uint64(b[56:])
	rest := b[manifestHeader:]
	if uint64(len(rest)) < n*manifestSegment || uint64(len(rest))-n*manifestSegment != state {
		return nil, fmt.Errorf("lengths of the manifest: %w", record.ErrDamaged)
	}
	m := &manifest{
		id:       record.Identity{ID: binary.LittleEndian.Uint64(b[16:]), Incarnation: binary.LittleEndian.Uint32(b[24:])},
		first:    binary.LittleEndian.Uint64(b[32:]),
		last:     binary.LittleEndian.Uint64(b[40:]),
		next:     binary.LittleEndian.Uint64(b[48:]),
		segments: make([]*segment, n),
	}
	numbers := make(map[uint64]bool, n)
	for i := range m.segments {
		s := parseManifestSegment(rest[i*manifestSegment:])
		m.segments[i] = s
		if err := m.checkSegment(i); err != nil {
			return nil, err
		}
		if numbers[s.no] {
			return nil, fmt.Errorf("segment %d is twice in the manifest: %w", s.no, record.ErrDamaged)
		}
		numbers[s.no] = true
	}
	if b[9]&manifestHasState != 0 {
		m.state = rest[n*manifestSegment:]
	} else if state != 0 {
		return nil, fmt.Errorf("state of the manifest: %w", record.ErrDamaged)
	}
	return m, nil
}

func parseManifestSegment(p []byte) *segment {
	return &segment{
		no:      binary.LittleEndian.Uint64(p),
		base:    binary.LittleEndian.Uint64(p[8:]),
		last:    binary.LittleEndian.Uint64(p[16:]),
		maxTime: int64(binary.LittleEndian.Uint64(p[24:])),
		count:   binary.LittleEndian.Uint64(p[32:]),
		length:  int64(binary.LittleEndian.Uint64(p[40:])),
		footer:  int64(binary.LittleEndian.Uint64(p[48:])),
		sealed:  p[56] != 0,
		layout:  p[57],
		stored:  uint48(p[58:]),
	}
}

func putUint48(b []byte, n int64) {
	binary.LittleEndian.PutUint16(b, uint16(n))
	binary.LittleEndian.PutUint32(b[2:], uint32(n>>16))
}

func uint48(b []byte) int64 {
	return int64(binary.LittleEndian.Uint16(b)) | int64(binary.LittleEndian.Uint32(b[2:]))<<16
}

// checkSegment holds segment i against what every log keeps: sequences rise, and only
// the last segment may still grow. Numbers need not rise: a rewritten segment has a
// higher one than those behind it.
func (m *manifest) checkSegment(i int) error {
	s := m.segments[i]
	if s.layout > layoutBlocks {
		return fmt.Errorf("segment %d has layout %d, which this program does not know", s.no, s.layout)
	}
	ok := s.base <= s.last && s.last <= m.last && s.no < m.next &&
		s.length > segmentHeader && s.length <= maxSegment && s.footer >= 0 && s.footer <= maxSegment &&
		(s.layout == layoutBlocks) == (s.stored > segmentHeader) && s.stored <= maxSegment
	if i > 0 {
		p := m.segments[i-1]
		ok = ok && p.sealed && s.base >= p.base && s.last > p.last
	}
	if !ok {
		return fmt.Errorf("segment %d of the manifest: %w", s.no, record.ErrDamaged)
	}
	return nil
}
