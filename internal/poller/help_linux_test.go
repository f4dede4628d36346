package poller

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// helperNotes is a Helper that always wants help, and notes what it is told.
type helperNotes struct {
	mu     sync.Mutex
	open   int // calls of Expect without Due
	wrong  string
	expect chan struct{}
	help   chan struct{}
	leave  chan struct{}
	wait   chan struct{} // not nil: Help waits for it
}

func newHelperNotes() *helperNotes {
	return &helperNotes{expect: make(chan struct{}, 1000), help: make(chan struct{}, 1000), leave: make(chan struct{}, 1000)}
}

func (h *helperNotes) Expect() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open++
	h.expect <- struct{}{}
	return true
}

func (h *helperNotes) Due() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open--; h.open < 0 {
		h.wrong = "Due without Expect"
	}
	return true
}

func (h *helperNotes) Help() {
	h.help <- struct{}{}
	if h.wait != nil {
		<-h.wait
	}
}

func (h *helperNotes) Leave() { h.leave <- struct{}{} }

// balanced holds at the end, when the loops have ended.
func (h *helperNotes) balanced(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrong != "" || h.open != 0 {
		t.Errorf("%s; %d calls of Expect have no Due", h.wrong, h.open)
	}
}

func openHelped(t *testing.T, h *helperNotes) *Poller {
	t.Helper()
	p, err := Open(1, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		h.balanced(t)
	})
	return p
}

// read gives the reader of a new connection, and the far end of that.
func read(t *testing.T, p *Poller) (*reader, *net.TCPConn) {
	t.Helper()
	r := newReader(Wait)
	s, far := adopt(t, p, r)
	s.Start()
	return r, far
}

// one has a byte come and be read.
func one(t *testing.T, far interface{ Write([]byte) (int, error) }, r *reader) {
	t.Helper()
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	r.gather(t, 1)
}

func TestALoopHelpsForTheOneConnectionThatItServes(t *testing.T) {
	h := newHelperNotes()
	r, far := read(t, openHelped(t, h))
	for range 20 {
		one(t, far, r)
	}
	for range 10 {
		await(t, "help", h.help)
	}
}

func TestALoopThatServesSeveralConnectionsDoesNotHelp(t *testing.T) {
	h := newHelperNotes()
	p := openHelped(t, h)
	a, fa := read(t, p)
	b, fb := read(t, p)
	one(t, fa, a)
	one(t, fb, b) // the loop knows now that b came last
	for len(h.expect) > 0 {
		<-h.expect
	}
	for range 50 {
		one(t, fa, a)
		one(t, fb, b)
	}
	// The loop may see b's last byte before and behind the look.
	if n := len(h.expect); n > 1 {
		t.Errorf("it was to help %d times", n)
	}
}

func TestWhoBringsMuchIsNotHelped(t *testing.T) {
	h := newHelperNotes()
	p := openHelped(t, h)
	got, buf := make(chan struct{}, 1000), make([]byte, 4*mostHelped)
	s, far := adopt(t, p, inputFunc(func(s *Socket) Next {
		n, err := s.Read(buf)
		if err != nil {
			return Done
		}
		if n > mostHelped && s.on != nil && s.on.expected {
			t.Error("it is going to help")
		}
		for range n {
			select {
			case got <- struct{}{}:
			default:
			}
		}
		if n == 0 {
			return Wait
		}
		return Again
	}))
	s.Start()
	much := bytes.Repeat([]byte("x"), 2*mostHelped)
	for len(h.leave) == 0 { // until much is read at once where help was expected
		write(t, far, []byte("x"))
		await(t, "a byte", got)
		write(t, far, much)
		await(t, "bytes", got)
		for len(got) > 0 {
			<-got
		}
	}
}

func TestAnInputThatDetachesDoesNotHelp(t *testing.T) {
	h := newHelperNotes()
	p := openHelped(t, h)
	read, buf := make(chan struct{}, 100), make([]byte, 8)
	s, far := adopt(t, p, inputFunc(func(s *Socket) Next {
		n, err := s.Read(buf)
		if err != nil {
			return Done
		}
		if n > 0 && buf[0] == 'd' {
			expected := s.on != nil && s.on.expected
			if s.Detach(); expected {
				await(t, "being left", h.leave)
			}
			read <- struct{}{}
			return Wait
		}
		if n > 0 {
			read <- struct{}{}
		}
		return Wait
	}))
	s.Start()
	for range 20 {
		write(t, far, []byte("x"))
		await(t, "a byte", read)
		write(t, far, []byte("d"))
		await(t, "the one that detaches", read)
	}
}

func TestHelpThatTakesLongKeepsNoOtherConnectionWaiting(t *testing.T) {
	h := newHelperNotes()
	h.wait = make(chan struct{})
	p := openHelped(t, h)
	a, fa := read(t, p)
	b, fb := read(t, p)
	one(t, fb, b)
	for len(h.help) == 0 {
		one(t, fa, a)
	}
	// The loop helps, and does not come back.
	for range 10 {
		one(t, fb, b)
		one(t, fa, a)
	}
	close(h.wait)
	for range 100 {
		one(t, fb, b)
		one(t, fa, a)
	}
	if a.overlap.Load() || b.overlap.Load() {
		t.Error("two goroutines run the loop")
	}
}
