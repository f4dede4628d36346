//go:build !linux

package outbox

import "net"

// NewSocket gives the socket of a connection.
func NewSocket(conn net.Conn) Socket { return &stream{conn: conn} }
