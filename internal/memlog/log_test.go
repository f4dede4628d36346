package memlog

import (
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
)

func TestLogMatchesTheModel(t *testing.T) {
	logtest.Run(t, logtest.Config{
		ID:   record.Identity{ID: 4, Incarnation: 2},
		Open: func(*testing.T) logtest.Log { return New() },
	})
}

func TestTrimmedFramesLeaveMemory(t *testing.T) {
	l := New()
	for i := range uint64(100) {
		f, _ := logtest.Dense(record.Identity{ID: 1}, 1+i*10, 0, 10, 100)
		l.Append(f)
	}
	whole := l.Bytes()
	l.Trim(501)
	if got := l.Bytes(); got > whole/2+whole/100 {
		t.Errorf("%d of %d bytes are left after half was trimmed", got, whole)
	}
	l.Trim(2000)
	if got := l.Bytes(); got != 0 {
		t.Errorf("%d bytes are left of nothing", got)
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	l := New()
	for i := range uint64(5000) {
		f, _ := logtest.Dense(record.Identity{ID: 1}, 1+i, 0, 1, 128)
		l.Append(f)
	}
	c := l.Cursor(1)
	if n := testing.AllocsPerRun(4000, func() {
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}
