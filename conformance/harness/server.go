package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// startLimit is how long a server may take to answer with INFO, stopLimit how
// long to end after SIGTERM.
const (
	startLimit = 10 * time.Second
	stopLimit  = 15 * time.Second
)

// Server is a server process with a directory and a port of its own. Its
// methods end the test when they fail; they are not for concurrent use.
type Server struct {
	Dir  string // holds the configuration, the log and the store
	Addr string // host:port of the client listener
	URL  string

	t      testing.TB
	bin    string
	config string
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// Start runs a server with durable streams and these further lines of configuration.
func Start(t testing.TB, config string) *Server {
	t.Helper()
	s := New(t, config)
	s.Run()
	return s
}

// New prepares a server without starting it.
func New(t testing.TB, config string) *Server {
	t.Helper()
	return prepare(t, binaries.server, config)
}

func prepare(t testing.TB, bin, config string) *Server {
	t.Helper()
	addr := freeAddr(t)
	s := &Server{t: t, bin: bin, Dir: t.TempDir(), Addr: addr, URL: "nats://" + addr}
	s.Configure(config)
	t.Cleanup(s.end)
	return s
}

// Configure writes the configuration; Run or Reload makes it count.
func (s *Server) Configure(config string) {
	s.t.Helper()
	text := fmt.Sprintf("listen: %q\nserver_name: conformance\njetstream { store_dir: %q }\n%s\n", s.Addr, filepath.Join(s.Dir, "store"), config)
	s.config = filepath.Join(s.Dir, "server.conf")
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		s.t.Fatalf("write configuration: %v", err)
	}
}

// Run starts the process and waits until it answers with INFO.
func (s *Server) Run() {
	s.t.Helper()
	s.launch()
	deadline := time.Now().Add(startLimit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		if answers(s.Addr) {
			return
		}
		select {
		case <-s.exited:
			s.t.Fatalf("the server ended at its start: %v\n%s", s.cmd.ProcessState, s.Log())
		case <-tick.C:
		}
	}
	s.t.Fatalf("no INFO within %v\n%s", startLimit, s.Log())
}

// RunToEnd starts the process and returns its exit status once it has ended by itself.
func (s *Server) RunToEnd() int {
	s.t.Helper()
	s.launch()
	select {
	case <-s.exited:
	case <-time.After(startLimit):
		s.t.Fatalf("the server runs on\n%s", s.Log())
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *Server) launch() {
	s.t.Helper()
	out, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatalf("open log: %v", err)
	}
	defer out.Close()
	cmd := exec.Command(s.bin, "-c", s.config)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start server: %v", err)
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	go func(done chan struct{}) {
		_ = cmd.Wait() // the state says it
		close(done)
	}(s.exited)
}

// answers reports whether INFO comes from addr.
func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "INFO ")
}

// Signal sends a signal to the process.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("send %v: %v", sig, err)
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	s.t.Helper()
	s.Signal(syscall.SIGKILL)
	<-s.exited
}

// RunCut starts the process and ends it with SIGKILL after d, in the middle of
// its start if d is short.
func (s *Server) RunCut(d time.Duration) {
	s.t.Helper()
	s.launch()
	select {
	case <-time.After(d):
	case <-s.exited:
		s.t.Fatalf("the server ended at its start: %v\n%s", s.cmd.ProcessState, s.Log())
	}
	s.Kill()
}

// Stop ends the process with SIGTERM and returns its exit status.
func (s *Server) Stop() int {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	return s.ExitStatus()
}

// ExitStatus waits until the process has ended.
func (s *Server) ExitStatus() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(stopLimit):
		s.t.Fatalf("the server did not end within %v\n%s", stopLimit, s.Log())
	}
	return s.cmd.ProcessState.ExitCode()
}

// Log returns the end of what the server wrote.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return string(b[max(0, len(b)-8<<10):])
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "server.log") }

func (s *Server) end() {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err == nil || errors.Is(err, os.ErrProcessDone) {
		<-s.exited
	}
	if s.t.Failed() {
		s.t.Logf("end of the server's log:\n%s", s.Log())
	}
}

// Connect connects a client that is closed with the test.
func (s *Server) Connect(opts ...nats.Option) *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(s.URL, append([]nats.Option{nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}, opts...)...)
	if err != nil {
		s.t.Fatalf("connect: %v\n%s", err, s.Log())
	}
	s.t.Cleanup(nc.Close)
	return nc
}

// given remembers addresses, so that two servers of one test never get the same one.
var given struct {
	sync.Mutex
	addrs map[string]bool
}

func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("find a port: %v", err)
		}
		addr := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatalf("find a port: %v", err)
		}
		given.Lock()
		fresh := !given.addrs[addr]
		if given.addrs == nil {
			given.addrs = map[string]bool{}
		}
		given.addrs[addr] = true
		given.Unlock()
		if fresh {
			return addr
		}
	}
	t.Fatal("find a port: none is free")
	return ""
}

// Eventually waits until a condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("it never came true that %s", what)
		case <-tick.C:
		}
	}
}

// CLI runs one of weir's commands against this server; it returns exit status,
// standard output and standard error.
func (s *Server) CLI(stdin io.Reader, args ...string) (int, string, string) {
	s.t.Helper()
	cmd := s.Command(args...)
	var out, errOut strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("weir %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

// Command prepares one of weir's commands for this server.
func (s *Server) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(binaries.cli, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "NATS_URL="+s.URL, "NO_COLOR=1", "TZ=UTC")
	return cmd
}
