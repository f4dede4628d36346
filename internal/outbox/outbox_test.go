package outbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/poller"
	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/chunk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSocket takes what its test lets it take. It notices two writers at once.
type fakeSocket struct {
	busy   atomic.Bool
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	got   bytes.Buffer
	try   func(n int) (int, error)                        // nil: nothing is taken
	write func(n int, timeout time.Duration) (int, error) // nil: all is taken
}

func newFake() *fakeSocket { return &fakeSocket{closed: make(chan struct{})} }

func (s *fakeSocket) Interrupt() { s.once.Do(func() { close(s.closed) }) }

func (s *fakeSocket) TryWrite(bufs [][]byte) (int, error) {
	if s.try == nil {
		return 0, nil
	}
	return s.take(bufs, s.try)
}

func (s *fakeSocket) Writev(bufs [][]byte, timeout time.Duration) (int, error) {
	if s.write == nil {
		return s.take(bufs, func(n int) (int, error) { return n, nil })
	}
	return s.take(bufs, func(n int) (int, error) { return s.write(n, timeout) })
}

func (s *fakeSocket) take(bufs [][]byte, decide func(int) (int, error)) (int, error) {
	if !s.busy.CompareAndSwap(false, true) {
		panic("two owners write at once")
	}
	defer s.busy.Store(false)
	size := 0
	for _, b := range bufs {
		size += len(b)
	}
	n, err := decide(size)
	s.mu.Lock()
	defer s.mu.Unlock()
	left := n
	for _, b := range bufs {
		k := min(left, len(b))
		s.got.Write(b[:k])
		left -= k
	}
	return n, err
}

func (s *fakeSocket) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.got.Bytes())
}

func never(t *testing.T) func(Reason, error) {
	return func(r Reason, err error) { t.Errorf("outbox died: %v, %v", r, err) }
}

// batch makes a batch of pieces of the given bytes, borrowed ones where asked.
func batch(borrowed func(i int) bool, parts ...[]byte) *Batch {
	b := &Batch{}
	for i, p := range parts {
		b.Size += len(p)
		if borrowed(i) {
			b.Pieces = append(b.Pieces, Piece{Bytes: p})
			b.Borrowed = true
			continue
		}
		c := chunk.Get(len(p))
		c.B = append(c.B, p...)
		b.Pieces = append(b.Pieces, Piece{Bytes: c.B, Chunk: c})
	}
	return b
}

func owned(int) bool { return false }

// record is a message that says who sent it, which one it is and how long.
func record(sender, seq, size int) []byte {
	b := make([]byte, 9+size)
	b[0] = byte(sender)
	binary.BigEndian.PutUint32(b[1:], uint32(seq))
	binary.BigEndian.PutUint32(b[5:], uint32(size))
	for i := range size {
		b[9+i] = byte(sender + seq + i)
	}
	return b
}

// checkRecords says whether the stream holds each sender's records, whole and in
// order.
func checkRecords(t *testing.T, stream []byte, senders, each int) {
	t.Helper()
	next := make([]int, senders)
	for len(stream) > 0 {
		sender, seq := int(stream[0]), int(binary.BigEndian.Uint32(stream[1:]))
		size := int(binary.BigEndian.Uint32(stream[5:]))
		if sender >= senders || seq != next[sender] || len(stream) < 9+size {
			t.Fatalf("sender %d: record %d, want %d", sender, seq, next[min(sender, senders-1)])
		}
		if !bytes.Equal(stream[:9+size], record(sender, seq, size)) {
			t.Fatalf("sender %d: record %d is damaged", sender, seq)
		}
		next[sender]++
		stream = stream[9+size:]
	}
	for s, n := range next {
		if n != each {
			t.Errorf("sender %d: %d of %d records", s, n, each)
		}
	}
}

func TestNoByteIsLostOrReorderedWhateverTheSocketTakes(t *testing.T) {
	for seed := range uint64(seeds) {
		sock := newFake()
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(seed, 1))
		random := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return rng.IntN(n)
		}
		sock.try = func(n int) (int, error) {
			switch random(3) {
			case 0:
				return 0, nil
			case 1:
				return random(n + 1), nil
			}
			return n, nil
		}
		o := New(sock, Limits{}, never(t))
		const senders, each = 4, 200
		var wg sync.WaitGroup
		for s := range senders {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range each {
					r := record(s, i, random(3000))
					cut := random(len(r))
					kind := random(4)
					b := batch(func(p int) bool { return p == 0 && kind&1 > 0 || p == 1 && kind&2 > 0 }, r[:cut], r[cut:])
					if cut == 0 {
						b = batch(owned, r)
					}
					if !o.Send(b, random(2) == 0) {
						t.Error("not taken")
					}
					clear(r) // borrowed bytes are ours again
				}
			}()
		}
		wg.Wait()
		o.Close(10 * time.Second)
		checkRecords(t, sock.bytes(), senders, each)
		if o.Pending() != 0 {
			t.Errorf("pending %d", o.Pending())
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestAnIdleSocketIsWrittenToByTheSender(t *testing.T) {
	sock := newFake()
	sock.try = func(n int) (int, error) { return n, nil }
	sock.write = func(int, time.Duration) (int, error) { panic("the writer was started") }
	o := New(sock, Limits{}, never(t))
	for i := range 100 {
		o.Send(batch(owned, record(0, i, 10)), true)
		if want := (i + 1) * 19; len(sock.bytes()) != want {
			t.Fatalf("%d bytes, want %d", len(sock.bytes()), want)
		}
	}
	o.Close(0)
}

// blocked is a socket whose writer waits until it is interrupted.
func blocked() *fakeSocket {
	sock := newFake()
	sock.write = func(int, time.Duration) (int, error) {
		<-sock.closed
		return 0, net.ErrClosed
	}
	return sock
}

func TestOverThePendingLimitTheOutboxDiesOnceAndFreesAll(t *testing.T) {
	var reasons []Reason
	o := New(blocked(), Limits{MaxPending: 1000}, func(r Reason, _ error) { reasons = append(reasons, r) })
	var chunks []*chunk.Chunk
	taken := 0
	for i := range 50 {
		b := batch(owned, make([]byte, 100))
		b.Pieces[0].Chunk.Retain()
		chunks = append(chunks, b.Pieces[0].Chunk)
		if o.Send(b, i%2 == 0) {
			taken++
		}
	}
	if taken != 10 || len(reasons) != 1 || reasons[0] != Pending {
		t.Errorf("%d taken, reasons %v", taken, reasons)
	}
	o.Close(0)
	for i, c := range chunks {
		if c.Shared() {
			t.Fatalf("chunk %d was not freed", i)
		}
	}
	if o.Pending() != 0 {
		t.Errorf("pending %d", o.Pending())
	}
}

func TestManySmallBatchesHoldLittleMemory(t *testing.T) {
	o := New(blocked(), Limits{MaxPending: 1 << 30}, never(t))
	const n, size = 20_000, 20
	for range n {
		o.Send(batch(owned, make([]byte, size)), false)
	}
	o.mu.Lock()
	held, pieces := o.held, len(o.queue)
	o.mu.Unlock()
	if held > 2*n*size+chunk.Smallest {
		t.Errorf("%d bytes are held for %d", held, n*size)
	}
	if pieces > 2*n*size/chunk.Smallest {
		t.Errorf("%d pieces", pieces)
	}
	// Memory is bounded even where nothing can be gathered.
	o.SetLimits(Limits{MaxPending: n*size + 1<<20})
	dead := false
	o.onFail = func(Reason, error) { dead = true }
	for range 1000 {
		c := chunk.Get(64 << 10)
		c.B = c.B[:20<<10]
		o.Send(&Batch{Pieces: []Piece{{Bytes: c.B, Chunk: c}}, Size: len(c.B)}, false)
	}
	if !dead {
		t.Error("memory is not bounded")
	}
	o.Close(0)
}

func TestAWriteErrorIsReportedOnceWithItsReason(t *testing.T) {
	for _, k := range []struct {
		err  error
		want Reason
	}{{os.ErrDeadlineExceeded, Deadline}, {io.ErrClosedPipe, Broken}} {
		for _, inline := range []bool{true, false} {
			sock := newFake()
			failed := make(chan Reason, 2)
			sock.write = func(_ int, timeout time.Duration) (int, error) {
				if timeout != time.Minute {
					t.Errorf("timeout %v", timeout)
				}
				return 3, k.err
			}
			if inline {
				sock.try = func(int) (int, error) { return 3, k.err }
			}
			o := New(sock, Limits{WriteDeadline: time.Minute}, func(r Reason, err error) {
				if !errors.Is(err, k.err) {
					t.Errorf("error %v", err)
				}
				failed <- r
			})
			o.Send(batch(owned, make([]byte, 10)), inline)
			if got := <-failed; got != k.want {
				t.Errorf("reason %v, want %v", got, k.want)
			}
			if o.Send(batch(owned, make([]byte, 10)), inline) {
				t.Error("a dead outbox took a batch")
			}
			o.Close(0)
			if len(failed) > 0 {
				t.Error("reported twice")
			}
		}
	}
}

func TestCloseWritesWhatWaitsAndDropsItAfterTheGrace(t *testing.T) {
	sock := newFake()
	release := make(chan struct{})
	sock.write = func(n int, _ time.Duration) (int, error) { <-release; return n, nil }
	o := New(sock, Limits{}, never(t))
	for range 10 {
		o.Send(batch(owned, make([]byte, 10)), false)
	}
	done := make(chan struct{})
	go func() { o.Close(time.Minute); close(done) }()
	close(release)
	<-done
	if n := len(sock.bytes()); n != 100 {
		t.Errorf("%d bytes", n)
	}
	if o.Send(batch(owned, make([]byte, 10)), true) {
		t.Error("a closed outbox took a batch")
	}

	stuck := New(blocked(), Limits{}, never(t))
	stuck.Send(batch(owned, make([]byte, 10)), false)
	stuck.Close(time.Millisecond)
}

// pair gives a connection's two ends over loopback.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	near, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

// tcp is a socket with its far end.
type tcp struct {
	sock Socket
	far  net.Conn
	end  func() error // ends the stream
}

// sockets gives a socket for any connection and, where the system has a poller, one
// that can write without waiting.
func sockets(t *testing.T) []tcp {
	near, far := pair(t)
	all := []tcp{{NewSocket(near), far, near.(*net.TCPConn).CloseWrite}}
	p, err := poller.Open(1, nil, nil)
	if errors.Is(err, poller.ErrUnsupported) {
		return all
	}
	if err != nil {
		t.Fatal(err)
	}
	near, far = pair(t)
	sock, err := p.Adopt(near.(*net.TCPConn), deaf{})
	if err != nil {
		t.Fatal(err)
	}
	sock.Start()
	all = append(all, tcp{sock, far, sock.CloseWrite})
	t.Cleanup(func() {
		if err := errors.Join(sock.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	return all
}

// deaf reads nothing.
type deaf struct{}

func (deaf) Ready(*poller.Socket) poller.Next { return poller.Wait }

func TestRealSocketsTakeEverything(t *testing.T) {
	for _, c := range sockets(t) {
		o := New(c.sock, Limits{WriteDeadline: 10 * time.Second}, never(t))
		const senders, each = 3, 300
		got := make(chan []byte, 1)
		go func() {
			b, _ := io.ReadAll(c.far)
			got <- b
		}()
		var wg sync.WaitGroup
		for s := range senders {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range each {
					r := record(s, i, i*70)
					parts := [][]byte{}
					for len(r) > 200 {
						parts = append(parts, r[:len(r)/3])
						r = r[len(r)/3:]
					}
					parts = append(parts, r)
					o.Send(batch(func(p int) bool { return i%2 == 0 && p%2 == 0 }, parts...), i%3 > 0)
				}
			}()
		}
		wg.Wait()
		o.Close(10 * time.Second)
		if err := c.end(); err != nil {
			t.Error(err)
		}
		checkRecords(t, <-got, senders, each)
	}
}

func TestARealSocketThatTakesNothingMissesTheDeadline(t *testing.T) {
	for _, c := range sockets(t) {
		failed := make(chan Reason, 1)
		o := New(c.sock, Limits{WriteDeadline: 30 * time.Millisecond}, func(r Reason, _ error) { failed <- r })
		for o.Send(batch(owned, make([]byte, 1<<20)), true) {
		}
		if got := <-failed; got != Deadline {
			t.Errorf("reason %v", got)
		}
		o.Close(0)
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop items under the race detector")
	}
	sock := newFake()
	sock.try = func(n int) (int, error) { sock.got.Reset(); return n, nil }
	o := New(sock, Limits{}, never(t))
	var b Batch
	if n := testing.AllocsPerRun(1000, func() {
		for range 3 {
			c := chunk.Get(100)
			c.B = append(c.B, "hello"...)
			b.Pieces = append(b.Pieces, Piece{Bytes: c.B, Chunk: c})
			b.Size += 5
		}
		o.Send(&b, true)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	o.Close(0)
}

func TestReasonsHaveNames(t *testing.T) {
	if got := fmt.Sprint(Pending, Deadline, Broken, Reason(0)); got != "pending limit write deadline write error none" {
		t.Errorf("got %q", got)
	}
}
