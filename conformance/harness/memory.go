package harness

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// PeakMemory is the most memory, in bytes, that the server has had since it was started;
// 0 where the system does not tell.
func (s *Server) PeakMemory() int64 {
	s.t.Helper()
	return s.memory("VmHWM:")
}

// Memory is what the server has now, in bytes; 0 where the system does not tell.
func (s *Server) Memory() int64 {
	s.t.Helper()
	return s.memory("VmRSS:")
}

// memory reads an amount of the system's description of the process.
func (s *Server) memory(which string) int64 {
	s.t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatalf("read the server's memory: %v", err)
	}
	_, rest, _ := strings.Cut(string(b), which)
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		s.t.Fatalf("read the server's memory: %v", err)
	}
	return kb << 10
}
