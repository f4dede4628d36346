package poller

import (
	"fmt"
	"sync"
	"testing"
)

// noted is a round that knows whose Inputs it has seen.
type noted struct {
	mu    sync.Mutex
	open  map[*Socket]bool
	wrong string
}

func (n *noted) End() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.open)
}

// call notes that a socket's Input is called.
func (n *noted) call(s *Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open[s] && s.Round() == nil {
		n.wrong = "an Input was called elsewhere before its round had ended"
	}
	if s.Round() != nil {
		n.open[s] = true
	}
}

func TestNoInputIsCalledElsewhereBeforeItsRoundHasEnded(t *testing.T) {
	round := &noted{open: map[*Socket]bool{}}
	p, err := Open(1, func() Round { return round }, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	const sockets, times = 8, 300
	var wg sync.WaitGroup
	for i := range sockets {
		read, calls := make(chan struct{}, times), 0
		buf := make([]byte, 1)
		s, far := adopt(t, p, inputFunc(func(s *Socket) Next {
			round.call(s)
			n, err := s.Read(buf)
			if err != nil {
				return Done
			}
			if n == 0 {
				return Wait
			}
			read <- struct{}{}
			calls++
			switch (calls + i) % 5 {
			case 0:
				return Apart
			case 1:
				s.Detach()
				if s.Round() != nil {
					t.Error("a round after Detach")
				}
			}
			return Again
		}))
		s.Start()
		wg.Go(func() {
			for range times {
				write(t, far, []byte("x"))
				s.Wake()
				await(t, fmt.Sprintf("socket %d", i), read)
			}
		})
	}
	wg.Wait()
	round.mu.Lock()
	defer round.mu.Unlock()
	if round.wrong != "" {
		t.Error(round.wrong)
	}
}

func TestARoundEndsBeforeTheLoopWaits(t *testing.T) {
	ended := make(chan struct{}, 100)
	p, err := Open(1, func() Round { return endFunc(func() { ended <- struct{}{} }) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	buf := make([]byte, 8)
	s, far := adopt(t, p, inputFunc(func(s *Socket) Next {
		if _, err := s.Read(buf); err != nil {
			return Done
		}
		for len(ended) > 0 {
			<-ended
		}
		return Wait
	}))
	s.Start()
	write(t, far, []byte("x"))
	await(t, "the end of the round", ended)
}

type endFunc func()

func (f endFunc) End() { f() }
