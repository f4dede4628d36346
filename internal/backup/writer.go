package backup

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/weirmq/weir/internal/record"
)

// Writer writes a backup. After an error it must not be used any more.
type Writer struct {
	w       io.Writer
	sum     uint32
	area    record.Area
	buf     []byte
	records uint64
}

// NewWriter begins a backup.
func NewWriter(w io.Writer, h *Head) (*Writer, error) {
	out := &Writer{w: w, sum: crc32.Checksum([]byte(Magic), castagnoli)}
	head := *h
	head.Version = version
	b, err := json.Marshal(&head)
	if err != nil {
		return nil, fmt.Errorf("encode the head of a backup: %w", err)
	}
	if _, err := io.WriteString(w, Magic); err != nil {
		return nil, fmt.Errorf("write a backup: %w", err)
	}
	return out, out.item(kindHead, b)
}

// packedMagic begins what is packed.
const packedMagic = "\xff\x06\x00\x00S2sT"

// Packer compresses what is written to it as an S2 stream, as JetStream's tools want
// snapshots to be. It starts no goroutine. Close ends the stream, and does not close w.
func Packer(w io.Writer) io.WriteCloser {
	return s2.NewWriter(w, s2.WriterConcurrency(1), s2.WriterBlockSize(packedBlock))
}

// packedBlock is how much is compressed at once, bytes.
const packedBlock = 256 << 10

// Unpacker is the inverse of Packer.
func Unpacker(r io.Reader) io.Reader { return s2.NewReader(r) }

// Consumer adds a consumer; all come before the first record.
func (w *Writer) Consumer(spec, state []byte) error {
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(len(spec)))
	w.buf = append(append(b, spec...), state...)
	return w.item(kindConsumer, w.buf)
}

// Record adds a record; sequences rise.
func (w *Writer) Record(v *record.View) error {
	b := binary.LittleEndian.AppendUint64(w.area.Buf[:0], v.Seq)
	w.area.Buf = binary.LittleEndian.AppendUint64(b, uint64(v.Time))
	w.area.Slots = w.area.Slots[:0]
	parts := v.Parts()
	w.area.Append(&parts)
	w.records++
	return w.item(kindRecord, w.area.Buf)
}

// Close writes the end. It does not close what is written to.
func (w *Writer) Close() error {
	return w.item(kindEnd, binary.LittleEndian.AppendUint64(nil, w.records))
}

func (w *Writer) item(kind byte, body []byte) error {
	var head [itemHead]byte
	head[0] = kind
	binary.LittleEndian.PutUint32(head[1:], uint32(len(body)))
	w.sum = crc32.Update(crc32.Update(w.sum, castagnoli, head[:]), castagnoli, body)
	var sum [itemSum]byte
	binary.LittleEndian.PutUint32(sum[:], w.sum)
	for _, b := range [...][]byte{head[:], body, sum[:]} {
		if _, err := w.w.Write(b); err != nil {
			return fmt.Errorf("write a backup: %w", err)
		}
	}
	return nil
}
