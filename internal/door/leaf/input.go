package leaf

import (
	"fmt"
	"net"

	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// Sizes of the read buffer: what it has, and what it falls back to after a large message.
const (
	readBuffer = 64 << 10
	readKept   = 1 << 20
)

// input is what is read of a connection. It belongs to one goroutine.
type input struct {
	conn     net.Conn
	parser   wire.Parser
	buf      []byte
	from, to int // what is read and not parsed
}

func newInput(conn net.Conn) *input { return &input{conn: conn, buf: make([]byte, readBuffer)} }

func (in *input) buffered() int { return in.to - in.from }

// next parses an operation that points into the buffer. need is above 0 where it is not
// whole: so many bytes must be buffered.
func (in *input) next(op *wire.Op) (need int, err error) {
	n, need, err := in.parser.Parse(op, in.buf[in.from:in.to])
	if err != nil {
		return 0, fmt.Errorf("understand the other side: %w", err)
	}
	in.from += n
	return need, nil
}

// fill reads at least once, and has room for need bytes. What was parsed before points
// to other bytes afterwards.
func (in *input) fill(need int) error {
	switch held := in.buf[in.from:in.to]; {
	case need > len(in.buf) || len(in.buf) > readKept && need <= readBuffer:
		grown := make([]byte, max(readBuffer, need+need/4))
		in.from, in.to = 0, copy(grown, held)
		in.buf = grown
	case in.from > 0:
		in.from, in.to = 0, copy(in.buf, held)
	}
	n, err := in.conn.Read(in.buf[in.to:])
	in.to += n
	if err != nil && n == 0 {
		return fmt.Errorf("read from the other side: %w", err)
	}
	return nil
}
