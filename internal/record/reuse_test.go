package record

import (
	"testing"
	"unsafe"
)

func sealedFrame(size int) (*Frame, *byte) {
	a := Area{Buf: NewArea(size)}
	a.Append(&Parts{Subject: []byte("s"), Data: make([]byte, size-100)})
	return Seal(Header{Base: 1}, a.Buf, a.Slots), unsafe.SliceData(a.Buf)
}

// again says whether the area at p is given out again. The pool may drop what it
// has at any time, so only a yes proves something.
func again(size int, p *byte) bool {
	for range 100 {
		if unsafe.SliceData(NewArea(size)) == p {
			return true
		}
	}
	return false
}

func TestAnAreaIsUsedAgainOnceItIsAppliedAndDropped(t *testing.T) {
	for range 20 {
		f, p := sealedFrame(100_000)
		f.MarkAlike()
		f.Applied()
		f.Dropped()
		if again(100_000, p) {
			if f.Area != nil {
				t.Error("the frame has its area still")
			}
			return
		}
	}
	t.Error("no area was used again")
}

func TestAnAreaThatSomebodyMayHaveIsNotUsedAgain(t *testing.T) {
	for name, use := range map[string]func(*Frame){
		"applied": (*Frame).Applied,
		"dropped": (*Frame).Dropped,
		"lent":    func(f *Frame) { f.Lent(); f.Applied(); f.Dropped() },
	} {
		f, p := sealedFrame(100_000)
		use(f)
		if f.Area == nil || again(100_000, p) {
			t.Errorf("an area that is only %s is used again", name)
		}
	}
}

func TestAreasHaveRoomForWhatWasAskedFor(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 1 << 14, 1<<14 + 1, 1 << 20, 1<<21 + 1, 5 << 20} {
		if b := NewArea(size); len(b) != 0 || cap(b) < size {
			t.Errorf("asked for %d, got %d of %d", size, len(b), cap(b))
		}
	}
}
