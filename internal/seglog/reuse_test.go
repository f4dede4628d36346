package seglog

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// A frame's area is used again as soon as the log and the partition are done with
// it: the records that readers hold must stay what they were all the same.
func TestAreasThatReadersHaveAreNotUsedAgain(t *testing.T) {
	const frames, perFrame, size = 400, 10, 3000
	o := small(newDisk(t))
	o.TailCache = 100_000
	l := openLog(t, openVolume(t, o), testID)
	var wg sync.WaitGroup
	wg.Go(func() { readAll(t, l, frames*perFrame, size) })
	var held []record.View
	for i := range frames {
		var a record.Area
		a.Buf = record.NewArea(perFrame * (size + 100))
		first := uint64(i*perFrame + 1)
		for k := range perFrame {
			a.Append(&record.Parts{Subject: []byte("s"), Data: fill(first+uint64(k), size)})
		}
		f := record.Seal(record.Header{Partition: testID, Base: first, Time: 1}, a.Buf, a.Slots)
		l.Append(f)
		f.Applied()
		if v, err := l.Get(first + 3); err == nil {
			held = append(held, v)
		}
		must(t, l.Flush())
	}
	wg.Wait()
	for _, v := range held {
		if !bytes.Equal(v.Data, fill(v.Seq, size)) {
			t.Fatalf("record %d changed while it was held", v.Seq)
		}
	}
}

// readAll follows the log up to a sequence.
func readAll(t *testing.T, l *Log, last uint64, size int) {
	c := l.Cursor(1)
	defer c.Close()
	for seq := uint64(1); seq <= last; {
		v, err := c.Next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil || v.Seq != seq || !bytes.Equal(v.Data, fill(seq, size)) {
			t.Errorf("record %d is %d, %v, or other bytes", seq, v.Seq, err)
			return
		}
		seq++
	}
}

func fill(seq uint64, size int) []byte {
	return bytes.Repeat([]byte{byte(seq), byte(seq >> 8), 'x'}, size/3)
}
