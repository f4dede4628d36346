package journal

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// slowFiles has who makes a journal file wait until it is opened.
type slowFiles chan struct{}

func (s slowFiles) String() string { return "files are made when the gate is open" }

func (s slowFiles) Inject(op faultfs.Op) *faultfs.Fault {
	if op.Kind == faultfs.Create && strings.HasSuffix(op.Name, newSuffix) {
		<-s
	}
	return nil
}

// What is on its way when it becomes known that the disk is full finds room, however
// slowly that becomes known.
func TestTheLastFileIsKeptUntilTheDiskIsKnownToBeFull(t *testing.T) {
	fs := faultfs.New()
	spare := make(chan int, 1)
	var j *Journal
	opened := make(chan struct{})
	j, _ = open(t, fs, smallFiles, func(o *Options) {
		o.OnPressure = func(p Pressure) {
			<-opened
			if p.NoSpace == nil {
				return
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			select {
			case spare <- len(j.ready):
			default:
			}
		}
	})
	close(opened)
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	awaitFiles(t, j, 3)
	gate := make(slowFiles)
	fs.Inject(gate)
	fs.SetCapacity(1)
	// More than two files take: the second file is full, and something waits.
	index := uint64(1)
	waits := func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		last := j.files[len(j.files)-1]
		return len(j.files) == 2 && j.bytes+j.gathered > last.size || len(j.files) > 2
	}
	for !waits() {
		index++
		must(t, j.Append(g, 1, index, 7, Urgent, entryData(1, index)))
		runtime.Gosched()
	}
	close(gate)
	select {
	case n := <-spare:
		if n != 1 {
			t.Errorf("%d files were left when the disk was known to be full", n)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told that the disk is full")
	}
	g.Release(index)
	fs.SetCapacity(1 << 30)
	must(t, l.wait(t, index))
	must(t, j.Close())
}
