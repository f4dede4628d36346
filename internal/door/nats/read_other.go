//go:build !linux

package nats

// read takes input until the connection ends or is being closed.
func (c *Conn) read() { c.readStream() }
