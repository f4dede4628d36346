//go:build !linux

package poller

import (
	"net"
	"time"
)

// Poller has the loops.
type Poller struct{}

// Socket is a connection that a loop watches.
type Socket struct{}

// Open gives ErrUnsupported.
func Open(int, func() Round, Helper) (*Poller, error) { return nil, ErrUnsupported }

// Close does nothing.
func (p *Poller) Close() error { return nil }

// Adopt gives ErrUnsupported.
func (p *Poller) Adopt(*net.TCPConn, Input) (*Socket, error) { return nil, ErrUnsupported }

// The methods of a Socket are never called here.
func (s *Socket) Start()                                      {}
func (s *Socket) Yield()                                      {}
func (s *Socket) Wake()                                       {}
func (s *Socket) Round() Round                                { return nil }
func (s *Socket) Detach()                                     {}
func (s *Socket) RemoteAddr() net.Addr                        { return nil }
func (s *Socket) Read([]byte) (int, error)                    { return 0, ErrUnsupported }
func (s *Socket) Ended() bool                                 { return true }
func (s *Socket) Discard([]byte, int, time.Duration)          {}
func (s *Socket) CloseWrite() error                           { return ErrUnsupported }
func (s *Socket) Abort()                                      {}
func (s *Socket) Close() error                                { return ErrUnsupported }
func (s *Socket) TryWrite([][]byte) (int, error)              { return 0, ErrUnsupported }
func (s *Socket) Writev([][]byte, time.Duration) (int, error) { return 0, ErrUnsupported }
func (s *Socket) Interrupt()                                  {}
