package server

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

var signalsByName = map[string]syscall.Signal{
	"ldm": syscall.SIGUSR2, "stop": syscall.SIGKILL, "quit": syscall.SIGINT, "term": syscall.SIGTERM,
	"reopen": syscall.SIGUSR1, "reload": syscall.SIGHUP,
}

// sendSignal sends a command to a running server: "reload=PID" or "reload=FILE"
// with a pid file.
func sendSignal(arg string) error {
	name, target, ok := strings.Cut(arg, "=")
	s, known := signalsByName[name]
	if !known {
		return fmt.Errorf("unknown signal %q: ldm, stop, quit, term, reopen and reload are known", name)
	}
	if !ok || target == "" {
		return fmt.Errorf("say which server: -sl %s=PID, or the path of its pid file", name)
	}
	pid, err := strconv.Atoi(target)
	if err != nil {
		b, rerr := os.ReadFile(target)
		if rerr != nil {
			return fmt.Errorf("read the pid file: %w", rerr)
		}
		if pid, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			return fmt.Errorf("%s holds no process id", target)
		}
	}
	if pid <= 0 {
		return fmt.Errorf("%d is no process id", pid)
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("send %s to process %d: %w", name, pid, err)
	}
	return nil
}
