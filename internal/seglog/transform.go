package seglog

import (
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
)

// blockFrom is from how many bytes on a block is closed. A smaller one only ends
// what is written at once.
const blockFrom = 64 << 10

// SetCompression says how blocks that are written from now on are compressed;
// none, the default, leaves it to VolumeOptions.Compression. Blocks that it does not
// make smaller are stored as they are.
func (l *Log) SetCompression(c atrest.Compression) { l.compression.Store(uint32(c)) }

func (l *Log) compressionNow() atrest.Compression {
	if c := atrest.Compression(l.compression.Load()); c != atrest.None {
		return c
	}
	return l.v.compression
}

// transforms says whether what is written goes into blocks.
func (l *Log) transforms() bool {
	return l.v.keys != nil || l.compressionNow() != atrest.None
}

// blockWriter puts frames into blocks and writes them, several at once.
type blockWriter struct {
	b       *batch
	f       *outFile
	context []byte
	how     atrest.Compression
	table   []blockEntry
	off     int64 // where b.plain begins, without transforms
	at      int64 // where b.stored goes in the file
}

// extendBlocks is extend for a segment of blocks.
func (l *Log) extendBlocks(b *batch, file *outFile, seg *segment, frames []*record.Frame) (*segment, error) {
	w := blockWriter{
		b: b, f: file, context: l.context(seg.no), how: l.compressionNow(),
		table: seg.blocks, off: max(seg.length, segmentHeader), at: seg.stored,
	}
	if w.f.sealer == nil {
		w.f.sealer = l.v.keys.Sealer(segmentPurpose)
	}
	w.reserve(frames)
	b.plain, b.stored = b.plain[:0], append(b.stored[:0], b.head...)
	x := indexer{entries: seg.index, maxTime: seg.maxTime, count: seg.count}
	for _, f := range frames {
		if len(b.plain) > 0 && len(b.plain)+f.Len() > atrest.MaxBlock {
			if err := w.seal(); err != nil {
				return nil, err
			}
		}
		x.add(f, w.off+int64(len(b.plain)))
		if err := w.addFrame(f); err != nil {
			return nil, err
		}
	}
	if err := w.finish(); err != nil {
		return nil, err
	}
	grown := *seg
	grown.last, grown.length, grown.stored, grown.blocks = frames[len(frames)-1].Last(), w.off, w.at, w.table
	grown.index, grown.maxTime, grown.count = x.entries, x.maxTime, x.count
	return &grown, nil
}

// reserve makes the buffers as large as they are going to be: growing them would
// copy all that waits.
func (w *blockWriter) reserve(frames []*record.Frame) {
	size := 0
	for _, f := range frames {
		size += f.Len()
	}
	most := segmentHeader + size + (size/blockFrom+2)*(atrest.BlockHead+atrest.Overhead)
	most = min(most, gatherMost) + atrest.BlockHead + atrest.BlockRoom(min(size, atrest.MaxBlock))
	if b := w.b; cap(b.stored) < most {
		b.stored = make([]byte, 0, most)
	}
	if b := w.b; cap(b.plain) < min(size, atrest.MaxBlock) {
		b.plain = make([]byte, 0, min(size, atrest.MaxBlock))
	}
}

// addFrame puts a whole frame into the block; only one that is larger than a block
// is cut.
func (w *blockWriter) addFrame(f *record.Frame) error {
	for _, p := range [...][]byte{f.Head, f.Area} {
		for len(p) > 0 {
			n := min(len(p), atrest.MaxBlock-len(w.b.plain))
			w.b.plain = append(w.b.plain, p[:n]...)
			p = p[n:]
			if len(w.b.plain) == atrest.MaxBlock {
				if err := w.seal(); err != nil {
					return err
				}
			}
		}
	}
	if len(w.b.plain) >= blockFrom {
		return w.seal()
	}
	return nil
}

// seal ends the block, and writes what waits if that is much.
func (w *blockWriter) seal() error {
	b := w.b
	if len(b.plain) == 0 {
		return nil
	}
	w.table = append(w.table, blockEntry{w.off, w.at + int64(len(b.stored))})
	b.stored = atrest.AppendBlock(b.stored, b.plain, w.off, w.how, w.f.sealer, w.context)
	w.off += int64(len(b.plain))
	b.plain = b.plain[:0]
	if len(b.stored) < gatherMost {
		return nil
	}
	return w.write()
}

func (w *blockWriter) write() error {
	if _, err := w.f.WriteAt(w.b.stored, w.at); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	w.at += int64(len(w.b.stored))
	w.b.stored = w.b.stored[:0]
	return nil
}

func (w *blockWriter) finish() error {
	if err := w.seal(); err != nil {
		return err
	}
	return w.write()
}

// openTable gives the block table of a segment that is not being read.
func (l *Log) openTable(seg *segment) ([]blockEntry, error) {
	h, err := l.v.files.acquire(l, seg)
	if err != nil {
		return nil, err
	}
	defer l.v.files.release(h)
	table, err := l.table(h, seg)
	return slices.Clip(table), err
}

// sealManifest encrypts a manifest, for the owner's state in it may name subjects.
func (l *Log) sealManifest(b []byte) []byte {
	if l.v.keys == nil {
		return b
	}
	return atrest.AppendBlock(nil, b, 0, atrest.None, l.v.keys.Sealer(manifestPurpose), l.context(0))
}

// openManifest gives a manifest's bytes as they were before sealManifest.
func (l *Log) openManifest(b []byte) ([]byte, error) {
	if len(b) < len(atrest.BlockMagic) || string(b[:len(atrest.BlockMagic)]) != atrest.BlockMagic {
		return b, nil
	}
	out, _, err := l.v.keys.Opener(manifestPurpose).Block(nil, b, len(b), l.context(0))
	if err != nil {
		return nil, damaged(err)
	}
	return out, nil
}
