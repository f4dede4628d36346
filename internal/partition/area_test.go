package partition

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/weirmq/weir/internal/record"
)

// What a small record was staged in serves the next batch while the record is on its
// way to the disk.
func TestASmallAreaIsUsedAgainOnceItIsAdmitted(t *testing.T) {
	r := newRig(t, Limits{})
	again := 0
	var last *byte
	for range 100 {
		b := &Batch{}
		b.Area.Buf = record.NewArea(1 << 10)
		if at := unsafe.SliceData(b.Area.Buf); at == last {
			again++
		} else {
			last = at
		}
		b.Area.Append(&record.Parts{Subject: []byte("a"), Data: []byte("same")})
		r.p.Admit(1, b)
		if b.Area.Buf != nil {
			t.Fatal("the batch has its area still")
		}
	}
	if again == 0 {
		t.Error("no area was used again")
	}
	r.sync()
	rd := r.p.Reader(0)
	defer rd.Close()
	for seq := uint64(1); seq <= 100; seq++ {
		if v, err := rd.Next(); err != nil || v.Seq != seq || string(v.Data) != "same" {
			t.Fatalf("record %d is %d, %q, %v", seq, v.Seq, v.Data, err)
		}
	}
}

// A log that was busy once keeps no memory for frames that do not come.
func TestACheckpointKeepsNoMemoryForFramesToCome(t *testing.T) {
	r := newRig(t, Limits{})
	for range 1000 {
		b := &Batch{}
		b.Area.Append(&record.Parts{Subject: []byte("a"), Data: make([]byte, 100)})
		r.p.Admit(1, b)
	}
	r.sync()
	var none record.Packer
	if reflect.DeepEqual(r.p.packer, none) {
		t.Fatal("a busy log packs nothing")
	}
	if err := r.p.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.p.packer, none) {
		t.Error("memory is kept for frames to come")
	}
}
