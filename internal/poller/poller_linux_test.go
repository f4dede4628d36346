package poller

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// open gives a poller that is closed at the end of the test.
func open(t testing.TB, loops int) *Poller {
	t.Helper()
	p, err := Open(loops, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

// adopt gives a polled socket, closed at the end unless the test closes it, and
// its far end.
func adopt(t testing.TB, p *Poller, in Input) (*Socket, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Adopt(near.(*net.TCPConn), in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		_ = far.Close()
	})
	return s, far.(*net.TCPConn)
}

// reader gathers what comes in. It says how to go on.
type reader struct {
	next    Next
	calls   atomic.Int32
	running atomic.Int32
	overlap atomic.Bool
	got     chan []byte
	ended   chan error
}

func newReader(next Next) *reader {
	return &reader{next: next, got: make(chan []byte, 1000), ended: make(chan error, 1)}
}

func (r *reader) Ready(s *Socket) Next {
	if r.running.Add(1) > 1 {
		r.overlap.Store(true)
	}
	defer r.running.Add(-1)
	r.calls.Add(1)
	b := make([]byte, 64)
	n, err := s.Read(b)
	if n > 0 {
		r.got <- b[:n]
	}
	switch {
	case err != nil:
		r.ended <- err
		return Done
	case n == len(b) || n > 0 && s.Ended():
		return Again
	}
	return r.next
}

func (r *reader) gather(t *testing.T, n int) []byte {
	t.Helper()
	var all []byte
	for len(all) < n {
		select {
		case b := <-r.got:
			all = append(all, b...)
		case <-time.After(patience):
			t.Fatalf("%d of %d bytes came", len(all), n)
		}
	}
	return all
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
	}
}

func TestAllThatArrivesIsReadInOrderByOneCallAtATime(t *testing.T) {
	for _, next := range []Next{Wait, Apart, Again} {
		p := open(t, 2)
		r := newReader(next)
		s, far := adopt(t, p, r)
		s.Start()
		var sent []byte
		for i := range 200 {
			part := bytes.Repeat([]byte{byte(i)}, 1+i)
			sent = append(sent, part...)
			write(t, far, part)
			s.Wake() // at any time
		}
		if got := r.gather(t, len(sent)); !bytes.Equal(got, sent) {
			t.Errorf("next %v: other bytes came than were sent", next)
		}
		if r.overlap.Load() {
			t.Errorf("next %v: two calls at once", next)
		}
		if next == Again {
			// It never waits: end it.
			_ = far.Close()
			if err := <-r.ended; !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
		}
	}
}

func TestInputFromBeforeStartIsHandledAfterIt(t *testing.T) {
	p := open(t, 1)
	r := newReader(Wait)
	s, far := adopt(t, p, r)
	write(t, far, []byte("early"))
	if n := r.calls.Load(); n != 0 {
		t.Errorf("%d calls before Start", n)
	}
	s.Start()
	if got := r.gather(t, 5); string(got) != "early" {
		t.Errorf("got %q", got)
	}
}

func TestAnEndThatComesWithDataIsSeen(t *testing.T) {
	p := open(t, 1)
	for range 50 {
		r := newReader(Wait)
		s, far := adopt(t, p, r)
		write(t, far, []byte("last words"))
		_ = far.CloseWrite()
		s.Start()
		r.gather(t, 10)
		select {
		case err := <-r.ended:
			if !errors.Is(err, io.EOF) {
				t.Fatalf("ended with %v", err)
			}
		case <-time.After(patience):
			t.Fatal("the end was not seen")
		}
	}
}

func TestAWakeWhileTheInputRunsCallsItOnceMore(t *testing.T) {
	p := open(t, 1)
	entered, leave := make(chan struct{}), make(chan struct{})
	s, _ := adopt(t, p, inputFunc(func(*Socket) Next {
		entered <- struct{}{}
		<-leave
		return Wait
	}))
	s.Start()
	s.Wake()
	await(t, "the first call", entered)
	s.Wake()
	s.Wake()
	leave <- struct{}{}
	await(t, "the second call", entered)
	leave <- struct{}{}
	select {
	case <-entered:
		t.Error("a third call")
	default:
	}
}

type inputFunc func(*Socket) Next

func (f inputFunc) Ready(s *Socket) Next { return f(s) }

func TestOneThatDetachesDoesNotKeepTheOthersOfItsLoopWaiting(t *testing.T) {
	p := open(t, 1)
	const stuck = 3
	release := make(chan struct{})
	waiting := make(chan struct{}, stuck)
	var ended sync.WaitGroup
	for range stuck {
		ended.Add(1)
		s, far := adopt(t, p, inputFunc(func(s *Socket) Next {
			s.Detach()
			s.Detach() // once is enough
			waiting <- struct{}{}
			<-release
			ended.Done()
			return Done
		}))
		s.Start()
		write(t, far, []byte("x"))
		await(t, "a call that waits", waiting)
	}
	r := newReader(Wait)
	s, far := adopt(t, p, r)
	s.Start()
	write(t, far, []byte("through"))
	r.gather(t, 7)
	close(release)
	ended.Wait()
}

func TestNothingIsCalledAfterDone(t *testing.T) {
	p := open(t, 1)
	var calls atomic.Int32
	first := make(chan struct{}, 1)
	s, far := adopt(t, p, inputFunc(func(*Socket) Next {
		calls.Add(1)
		first <- struct{}{}
		return Done
	}))
	s.Start()
	write(t, far, []byte("x"))
	await(t, "the call", first)
	s.Wake()
	write(t, far, []byte("y"))
	r := newReader(Wait) // whatever the loop did with y it did before this
	other, otherFar := adopt(t, p, r)
	other.Start()
	write(t, otherFar, []byte("z"))
	r.gather(t, 1)
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestAWriterWaitsForRoomForItsDeadlineAndForNoInterrupt(t *testing.T) {
	p := open(t, 1)
	s, far := adopt(t, p, newReader(Wait))
	s.Start()
	full := func() {
		for n := 1; n > 0; {
			n, _ = s.TryWrite([][]byte{make([]byte, 64<<10)})
		}
	}
	full()
	if _, err := s.Writev([][]byte{[]byte("late")}, 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a full socket: %v", err)
	}
	read := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, far)
		read <- n
	}()
	parts := [][]byte{make([]byte, 1<<20), {}, make([]byte, 3<<20), []byte("end")}
	if n, err := s.Writev(parts, patience); n != 4<<20+3 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n := <-read; n < 4<<20+3 {
		t.Errorf("%d bytes came", n)
	}

	s, _ = adopt(t, p, newReader(Wait))
	s.Start()
	failed := make(chan error, 1)
	go func() {
		_, err := s.Writev([][]byte{make([]byte, 64<<20)}, 0)
		failed <- err
	}()
	s.Interrupt()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestAWriterIsToldOfRoomWhileAReaderOfItsOwnIsBusy(t *testing.T) {
	p := open(t, 1)
	seen, release := make(chan struct{}, 10), make(chan struct{})
	reads := 0
	s, far := adopt(t, p, inputFunc(func(s *Socket) Next {
		n, err := s.Read(make([]byte, 100))
		if err != nil {
			return Done
		}
		if n > 0 {
			seen <- struct{}{}
			if reads++; reads == 2 {
				<-release
			}
		}
		return Apart
	}))
	s.Start()
	write(t, far, []byte("on the loop"))
	await(t, "the first read", seen)
	write(t, far, []byte("apart, and long"))
	await(t, "the second read", seen)
	done := make(chan error, 1)
	go func() {
		_, err := s.Writev([][]byte{make([]byte, 64<<20)}, patience)
		done <- err
	}()
	for range 20 { // input that does not concern the writer
		write(t, far, []byte("more"))
		if _, err := io.CopyN(io.Discard, far, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.CopyN(io.Discard, far, 44<<20); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the writer got %v", err)
	}
	close(release)
	await(t, "the rest", seen)
}

func TestManyPiecesAreWrittenWholeAndInOrder(t *testing.T) {
	p := open(t, 1)
	s, far := adopt(t, p, newReader(Wait))
	s.Start()
	var parts [][]byte
	var want []byte
	for i := range 3*vectorLen + 5 {
		b := bytes.Repeat([]byte{byte(i)}, i%7)
		parts, want = append(parts, b), append(want, b...)
	}
	if n, err := s.TryWrite(parts); n != len(want) || err != nil {
		t.Fatalf("wrote %d of %d, %v", n, len(want), err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes came, %v", err)
	}
}

func TestAbortEndsAReaderAndDiscardEndsByItself(t *testing.T) {
	p := open(t, 1)
	r := newReader(Wait)
	s, _ := adopt(t, p, r)
	s.Start()
	s.Abort()
	if err := <-r.ended; !errors.Is(err, io.EOF) {
		t.Errorf("aborted: %v", err)
	}

	done := make(chan struct{}, 1)
	in := inputFunc(func(s *Socket) Next {
		s.Detach()
		s.Discard(make([]byte, 100), 1<<20, patience)
		done <- struct{}{}
		return Done
	})
	s, far := adopt(t, p, in)
	s.Start()
	for range 10 {
		write(t, far, make([]byte, 1000))
	}
	_ = far.Close()
	await(t, "the end of the stream", done)

	s, far = adopt(t, p, in)
	s.Start()
	write(t, far, make([]byte, 1<<20)) // all that it takes
	await(t, "the limit", done)

	s, far = adopt(t, p, inputFunc(func(s *Socket) Next {
		s.Detach()
		s.Discard(make([]byte, 100), 1<<20, time.Millisecond)
		done <- struct{}{}
		return Done
	}))
	s.Start()
	write(t, far, []byte("x"))
	await(t, "the end of patience", done)
}

func TestAClosedSocketSaysSo(t *testing.T) {
	p := open(t, 1)
	s, _ := adopt(t, p, newReader(Wait))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	if err := s.CloseWrite(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("close write: %v", err)
	}
	s.Abort() // does nothing, to nobody's descriptor
}

func TestAConnectionThatIsClosedCannotBeAdopted(t *testing.T) {
	p := open(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if _, err := p.Adopt(conn.(*net.TCPConn), newReader(Wait)); err == nil {
		t.Error("a closed connection was adopted")
	}
}

func TestManySocketsOnFewLoopsLoseNothing(t *testing.T) {
	p := open(t, 2)
	const conns, each = 300, 20 // more than one wait gives
	readers := make([]*reader, conns)
	var wg sync.WaitGroup
	for i := range readers {
		readers[i] = newReader([]Next{Wait, Apart}[i%2])
		s, far := adopt(t, p, readers[i])
		s.Start()
		wg.Go(func() {
			for range each {
				if _, err := far.Write([]byte("message")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range readers {
		r.gather(t, each*len("message"))
	}
}

// BenchmarkRoundTrip is a message to a socket and its answer.
func BenchmarkRoundTrip(b *testing.B) {
	p := open(b, 1)
	buf := make([]byte, 64)
	answer := [][]byte{[]byte("answer")}
	s, far := adopt(b, p, inputFunc(func(s *Socket) Next {
		n, err := s.Read(buf)
		if err != nil {
			return Done
		}
		if n > 0 {
			if _, err := s.TryWrite(answer); err != nil {
				return Done
			}
		}
		return Wait
	}))
	s.Start()
	got := make([]byte, 6)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := far.Write([]byte("question")); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(far, got); err != nil {
			b.Fatal(err)
		}
	}
}
