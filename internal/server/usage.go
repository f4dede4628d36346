package server

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// residentBytes is the memory that the process uses, 0 where it cannot be asked.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// memoryLimit is the bound that the runtime was given, 0 for none.
func memoryLimit() int64 {
	if n := debug.SetMemoryLimit(-1); n != math.MaxInt64 {
		return n
	}
	return 0
}

// cpuMeter tells how much of a processor the process uses.
type cpuMeter struct {
	mu   sync.Mutex
	at   time.Time     // guarded by mu: of the last look
	used time.Duration // guarded by mu: until then
	last float64       // guarded by mu: what was told then
}

// shortestLook is below what the system's own figures can tell.
const shortestLook = 500 * time.Millisecond

// percent is the use since the last look, 100 for one whole processor; the first
// look is about the time since the meter was made.
func (c *cpuMeter) percent() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	since := now.Sub(c.at)
	if since < shortestLook {
		return c.last
	}
	c.last = math.Round(1000*float64(used-c.used)/float64(since)) / 10
	c.at, c.used = now, used
	return c.last
}
