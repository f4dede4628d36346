package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMessagesOfAllLengthsComeBackAsTheyWere(t *testing.T) {
	each(t, func(r *rig) {
		s := r.stream(r.ctx(), "Echo", nil)
		sizes := []int{0, 1, 5, 100, 16_379, 16_384, 16_385, 65_535, 200_000, 1<<20 - 10}
		sent := make(chan error, 1)
		go func() {
			for i, n := range sizes {
				if err := s.SendMsg(bytesOf(filled(i, n))); err != nil {
					sent <- err
					return
				}
			}
			sent <- s.CloseSend()
		}()
		for i, n := range sizes {
			b, err := next(s)
			if err != nil || !bytes.Equal(b, filled(i, n)) {
				t.Fatal(i, len(b), err)
			}
		}
		if _, err := next(s); err != io.EOF {
			t.Fatal(err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
}

func TestMessagesThatGoTogetherArriveOneByOne(t *testing.T) {
	each(t, func(r *rig) {
		kilos := []byte{0, 1, 0, 63, 64, 0, 255, 200, 1, 0}
		s := r.stream(r.ctx(), "Gathered", kilos)
		for i, k := range kilos {
			b, err := next(s)
			if err != nil || !bytes.Equal(b, filled(i, int(k)<<10)) {
				t.Fatal(i, len(b), err)
			}
		}
		if _, err := next(s); err != io.EOF {
			t.Fatal(err)
		}
	})
}

func TestManyCallsShareAConnection(t *testing.T) {
	each(t, func(r *rig) {
		const calls, messages = 100, 30
		ctx := r.ctx()
		var wg sync.WaitGroup
		errs := make(chan error, 2*calls)
		for i := range calls {
			wg.Go(func() {
				in, out := bytesOf(filled(i, 100*i)), new(wrapperspb.BytesValue)
				if err := r.Invoke(ctx, "/t.S/Unary", in, out); err != nil || !bytes.Equal(in.Value, out.Value) {
					errs <- fmt.Errorf("unary %d: %w", i, err)
				}
			})
			wg.Go(func() {
				s := r.stream(ctx, "Feed", nil)
				for k := range messages {
					if err := s.SendMsg(bytesOf(filled(i, k*i))); err != nil {
						errs <- err
						return
					}
				}
				for k := range messages {
					if b, err := next(s); err != nil || !bytes.Equal(b, filled(i, k*i)) {
						errs <- fmt.Errorf("feed %d, message %d: %d bytes: %w", i, k, len(b), err)
						return
					}
				}
				_ = s.CloseSend()
				if _, err := next(s); err != io.EOF {
					errs <- err
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			t.Fatal(err)
		}
		for range calls {
			f := <-r.feeds
			f.mu.Lock()
			flushes := f.flushes
			f.mu.Unlock()
			if flushes == 0 {
				t.Fatal("a feed was not told to pass on what it had")
			}
		}
	})
}

func TestAStatusGoesToTheClientWithItsText(t *testing.T) {
	each(t, func(r *rig) {
		for name, c := range map[string]struct {
			method, body, text string
			code               codes.Code
		}{
			"of a handler":       {"/t.S/Unary", "fail", "100 % failed\nü", codes.Aborted},
			"of another method":  {"/t.S/Other", "", "unknown method Other for service t.S", codes.Unimplemented},
			"of another service": {"/t.Other/Unary", "", "unknown service t.Other", codes.Unimplemented},
			"of no method":       {"/Unary", "", `malformed method name: "/Unary"`, codes.Unimplemented},
		} {
			err := r.Invoke(r.ctx(), c.method, bytesOf([]byte(c.body)), new(wrapperspb.BytesValue))
			if s := status.Convert(err); s.Code() != c.code || s.Message() != c.text {
				t.Errorf("%s: %v", name, err)
			}
		}
		err := r.Invoke(r.ctx(), "/t.S/Unary", bytesOf(make([]byte, 1<<20)), new(wrapperspb.BytesValue))
		if s := status.Convert(err); s.Code() != codes.ResourceExhausted || s.Message() != "grpc: received message larger than max (1048580 vs. 1048576)" {
			t.Error(err)
		}
		s := r.stream(r.ctx(), "Feed", make([]byte, 1<<20))
		if _, err := next(s); status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
	})
}

func TestACallEndsWhenItsTimeIsOverOrTheClientGoes(t *testing.T) {
	each(t, func(r *rig) {
		ctx, cancel := context.WithTimeout(r.ctx(), time.Second)
		defer cancel()
		s := r.stream(ctx, "Wait", []byte{})
		r.handled(1)
		if _, err := next(s); status.Code(err) != codes.DeadlineExceeded {
			t.Fatal(err)
		}
		if err := <-r.ended; err != context.DeadlineExceeded && err != context.Canceled {
			t.Fatal(err)
		}
		ctx, cancel = context.WithCancel(r.ctx())
		r.stream(ctx, "Wait", []byte{})
		f := r.stream(ctx, "Feed", []byte("x"))
		if _, err := next(f); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-r.ended; err != context.Canceled {
			t.Fatal(err)
		}
		r.closedFeed()
		r.rest()
		r.stream(r.ctx(), "Wait", []byte{})
		r.handled(1)
		r.ClientConn.Close()
		if err := <-r.ended; err != context.Canceled {
			t.Fatal(err)
		}
	})
}

// closedFeed waits until the feed that was begun last is let go of.
func (r *rig) closedFeed() {
	r.t.Helper()
	f := <-r.feeds
	deadline := time.Now().Add(patience)
	for closed := false; !closed; {
		f.mu.Lock()
		closed = f.closed
		f.mu.Unlock()
		if time.Now().After(deadline) {
			r.t.Fatal("the feed was not closed")
		}
	}
}

// conns are the server's connections.
func (r *rig) conns() (list []*conn) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for n := range r.server.conns {
		list = append(list, n)
	}
	return list
}

// handled waits until the server handles so many calls.
func (r *rig) handled(calls int) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for running := 0; running != calls; {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d calls are handled", running)
		}
		running = 0
		for _, n := range r.conns() {
			n.mu.Lock()
			running += n.running
			n.mu.Unlock()
		}
	}
}

// rest waits until nothing is held in the server's connections.
func (r *rig) rest() {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		busy := slices.ContainsFunc(r.conns(), func(n *conn) bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return len(n.calls) > 0 || n.running > 0 || n.held.Load() != 0 || n.unsent.Load() != 0
		})
		if !busy {
			return
		}
		if time.Now().After(deadline) {
			n := r.conns()[0]
			n.mu.Lock()
			defer n.mu.Unlock()
			r.t.Fatalf("%d calls, %d handlers, %d bytes held, %d unsent", len(n.calls), n.running, n.held.Load(), n.unsent.Load())
		}
	}
}

func TestASlowReaderHoldsUpItsOwnCallOnly(t *testing.T) {
	each(t, func(r *rig) {
		ctx, cancel := context.WithCancel(r.ctx())
		defer cancel()
		r.stream(ctx, "Flood", []byte{}) // it is never read
		for i := range 50 {
			in, out := bytesOf(filled(i, 3000)), new(wrapperspb.BytesValue)
			if err := r.Invoke(r.ctx(), "/t.S/Unary", in, out); err != nil || !bytes.Equal(in.Value, out.Value) {
				t.Fatal(i, err)
			}
		}
		for _, n := range r.conns() {
			n.mu.Lock()
			for _, c := range n.calls {
				if c.queued > 2*mostQueued {
					t.Errorf("%d bytes are queued", c.queued)
				}
			}
			n.mu.Unlock()
		}
		cancel()
		if err := <-r.ended; status.Code(err) != codes.Canceled {
			t.Fatal(err)
		}
		r.rest()
	})
}

func TestAFeedThatIsFullStopsItsClientUntilItIsNot(t *testing.T) {
	each(t, func(r *rig) {
		s := r.stream(r.ctx(), "Feed", []byte("x"))
		if _, err := next(s); err != nil {
			t.Fatal(err)
		}
		f := <-r.feeds
		f.mu.Lock()
		f.full, f.got = true, 0
		f.mu.Unlock()
		const messages, size = 100, 128 << 10
		sent := make(chan error, 1)
		go func() {
			for i := range messages {
				if err := s.SendMsg(bytesOf(filled(i, size))); err != nil {
					sent <- err
					return
				}
			}
			sent <- s.CloseSend()
		}()
		got := 0
		receive := func() {
			if b, err := next(s); err != nil || !bytes.Equal(b, filled(got, size)) {
				t.Fatal(got, len(b), err)
			}
			got++
		}
		for got*size < streamWindow-2*size {
			receive()
		}
		select {
		case err := <-sent:
			t.Fatalf("all was sent to a feed that is full: %v", err)
		default:
		}
		f.mu.Lock()
		had := f.got
		f.full = false
		f.mu.Unlock()
		if had > streamWindow {
			t.Fatalf("a feed that is full got %d bytes", had)
		}
		f.call.Resume()
		for got < messages {
			receive()
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		r.rest()
	})
}

func TestWhatIsNotReceivedIsLetGoOf(t *testing.T) {
	each(t, func(r *rig) {
		for i := range 20 {
			ctx, cancel := context.WithCancel(r.ctx())
			s := r.begin(ctx, "Wait", filled(i, 300_000)) // nobody receives it
			if i%2 == 0 {
				if err := s.CloseSend(); err != nil {
					t.Fatal(err)
				}
			}
			cancel()
		}
		for range 20 {
			// Some may have been cancelled before the server knew of them.
			if err := r.Invoke(r.ctx(), "/t.S/Unary", bytesOf(nil), new(wrapperspb.BytesValue)); err != nil {
				t.Fatal(err)
			}
		}
		r.rest()
	})
}

func TestAGracefulStopWaitsForCallsAndStopDoesNot(t *testing.T) {
	each(t, func(r *rig) {
		s := r.stream(r.ctx(), "Echo", []byte("one"))
		if _, err := next(s); err != nil {
			t.Fatal(err)
		}
		stopped := make(chan struct{})
		go func() {
			r.server.GracefulStop()
			close(stopped)
		}()
		// The client is told; calls that it begins from then on are refused or wait.
		for refused := false; !refused; {
			ctx, cancel := context.WithTimeout(r.ctx(), 100*time.Millisecond)
			refused = r.Invoke(ctx, "/t.S/Unary", bytesOf(nil), new(wrapperspb.BytesValue)) != nil
			cancel()
		}
		for i := range 3 {
			if err := s.SendMsg(bytesOf(filled(i, 10))); err != nil {
				t.Fatal(err)
			}
			if b, err := next(s); err != nil || !bytes.Equal(b, filled(i, 10)) {
				t.Fatal(b, err)
			}
		}
		select {
		case <-stopped:
			t.Fatal("the server has not waited")
		default:
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := next(s); err != io.EOF {
			t.Fatal(err)
		}
		<-stopped
	})
	each(t, func(r *rig) {
		s := r.stream(r.ctx(), "Wait", []byte{})
		f := r.stream(r.ctx(), "Feed", []byte("x"))
		if _, err := next(f); err != nil {
			t.Fatal(err)
		}
		r.server.Stop()
		for _, call := range []interface{ RecvMsg(any) error }{s, f} {
			if err := call.RecvMsg(new(wrapperspb.BytesValue)); err == nil {
				t.Fatal("a call goes on")
			}
		}
		r.closedFeed()
	})
}

func TestMessagesMayBeCompressedAndAreBoundedByWhatTheySay(t *testing.T) {
	each(t, func(r *rig) {
		for n, want := range map[int]codes.Code{0: codes.OK, 100_000: codes.OK, 2 << 20: codes.ResourceExhausted} {
			in, out := bytesOf(make([]byte, n)), new(wrapperspb.BytesValue)
			err := r.Invoke(r.ctx(), "/t.S/Unary", in, out, grpc.UseCompressor(gzip.Name))
			if status.Code(err) != want || want == codes.OK && len(out.Value) != n {
				t.Fatal(n, len(out.Value), err)
			}
		}
	})
}

func TestACallOfOneMessageIsServedWhenTheClientHasSentNoOther(t *testing.T) {
	each(t, func(r *rig) {
		for _, name := range []string{"Unary", "Gathered"} {
			s := r.begin(r.ctx(), name, []byte{})
			if err := s.SendMsg(bytesOf(nil)); err != nil {
				t.Fatal(err)
			}
			if _, err := next(s); status.Code(err) != codes.Internal {
				t.Error(name, err)
			}
			s = r.begin(r.ctx(), name, nil)
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if _, err := next(s); status.Code(err) != codes.Internal {
				t.Error(name, err)
			}
			ctx, cancel := context.WithTimeout(r.ctx(), 50*time.Millisecond)
			if _, err := next(r.begin(ctx, name, []byte{})); status.Code(err) != codes.DeadlineExceeded {
				t.Error(name, err)
			}
			cancel()
		}
		r.rest()
	})
}

// While much waits to be sent, calls wait for their turn, and are served when it was taken.
func TestCallsWaitForTheirTurnWhileTheirClientReadsNothing(t *testing.T) {
	each(t, func(r *rig) {
		const calls, size = 50, 2000
		if err := r.Invoke(r.ctx(), "/t.S/Unary", bytesOf(nil), new(wrapperspb.BytesValue)); err != nil {
			t.Fatal(err)
		}
		r.rest()
		n := r.conns()[0]
		fill := func(by int64) (waiting int) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.queued += by
			return len(n.waiting)
		}
		fill(mostAnswers + 1)
		var all []grpc.ClientStream
		for i := range calls {
			s := r.begin(r.ctx(), "Unary", filled(i, size))
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		for deadline := time.Now().Add(patience); fill(0) < calls; {
			if time.Now().After(deadline) {
				t.Fatalf("%d calls wait", fill(0))
			}
		}
		if e := r.begin(r.ctx(), "Echo", []byte("beside")); e.RecvMsg(new(wrapperspb.BytesValue)) != nil {
			t.Fatal("calls of many messages wait, too")
		} else if err := e.CloseSend(); err != nil {
			t.Fatal(err)
		}
		fill(-mostAnswers - 1)
		n.next()
		for i, s := range all {
			if b, err := next(s); err != nil || !bytes.Equal(b, filled(i, size)) {
				t.Fatal(i, len(b), err)
			}
		}
		r.rest()
	})
}
