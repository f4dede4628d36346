package nats

import (
	"errors"
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// handleConnect reads a CONNECT, the first or a later one.
func (c *Conn) handleConnect(arg []byte) {
	c.detach() // a password takes long to check
	next := c.connect
	err := next.Decode(arg)
	if err == nil {
		err = next.Check()
	}
	if err != nil {
		var why *wire.Error
		if !errors.As(err, &why) {
			why = wire.ErrConnectJSON
		}
		c.close(why)
		return
	}
	if c.web != nil {
		fillIn(&next, c.web)
	}
	if !c.authenticate(next, true) {
		return
	}
	c.connected = true
	if next.Verbose {
		c.reply(wire.AppendOK(c.line[:0]))
	}
}

// letIn says whether the client may do anything. One that sent no CONNECT is let
// in where none is needed.
func (c *Conn) letIn() bool {
	if c.pub != nil {
		return true
	}
	auth := *c.door.auth.Load()
	if auth.Required() && !auth.Anonymous() {
		c.close(wire.ErrAuthorization)
		return false
	}
	return c.authenticate(c.connect, false)
}

func (c *Conn) credentials(connect wire.Connect, sent bool) *Credentials {
	return &Credentials{
		Connect: connect, Sent: sent, Nonce: c.nonce, Remote: c.link.RemoteAddr(), Connection: c.id,
		Certificate: c.secured.certificate(),
	}
}

// authenticate asks who the client is and makes it that.
func (c *Conn) authenticate(connect wire.Connect, sent bool) bool {
	id, err := (*c.door.auth.Load()).Authenticate(c.credentials(connect, sent))
	if err != nil {
		c.notLetIn(connect, err)
		return false
	}
	c.become(id, connect)
	return true
}

func (c *Conn) notLetIn(connect wire.Connect, err error) {
	c.logger().Warn("client not let in", "user", connect.User, "error", err)
	why := wire.ErrAuthorization
	if told := (*wire.Error)(nil); errors.As(err, &told) && told.Closes() {
		why = told
	}
	c.mu.Lock()
	c.settings = connect
	c.mu.Unlock()
	if c.door.events != nil {
		info := c.Snapshot()
		info.User, info.Reason = connect.User, why.Reason
		c.door.events.AuthFailed(info)
	}
	c.close(why)
}

// become makes the client an identity, its first or another one. What it had
// subscribed to as the old one ends.
func (c *Conn) become(id *Identity, connect wire.Connect) {
	old := c.identity.Load()
	if old != nil {
		c.handOver()
		c.dropAll()
	}
	c.identity.Store(id)
	c.headers.Store(connect.Headers && c.door.info.Load().Headers)
	c.connect = connect
	c.mu.Lock()
	c.settings = connect
	if c.auth != nil {
		c.auth.Stop()
		c.auth = nil
	}
	c.mu.Unlock()
	c.expireAt(id.Expires)
	c.setParser(c.door.limits.Load())
	if c.pub == nil {
		c.pub = broker.NewPublisher(id.Space, c.publisherOptions(id))
	} else {
		c.pub.Rebind(id.Space, c.publisherOptions(id))
	}
	if old != nil {
		if old.Release != nil {
			old.Release()
		}
		return
	}
	if c.door.events != nil {
		c.door.events.Connected(c.Snapshot())
	}
	c.logger().Debug("client let in", "name", connect.Name, "lang", connect.Lang, "version", connect.Version)
}

func (c *Conn) publisherOptions(id *Identity) broker.PublisherOptions {
	o := broker.PublisherOptions{Origin: c, Echo: c.connect.Echo, Budget: c.door.budget}
	if id.Permissions != nil {
		o.Permissions = id.Permissions
	}
	return o
}

// setParser takes over the limits, as they are now for this client.
func (c *Conn) setParser(limits *Limits) {
	c.limits = limits
	c.parser.MaxControlLine = limits.MaxControlLine
	c.parser.MaxPayload = c.maxPayload(limits)
}

func (c *Conn) maxPayload(limits *Limits) int {
	if id := c.identity.Load(); id != nil && id.MaxPayload > 0 {
		return min(id.MaxPayload, limits.MaxPayload)
	}
	return limits.MaxPayload
}

// expireAt closes the connection at a time, or never.
func (c *Conn) expireAt(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expiry != nil {
		c.expiry.Stop()
		c.expiry = nil
	}
	if !at.IsZero() {
		c.expiry = time.AfterFunc(time.Until(at), func() { c.close(wire.ErrUserExpired) })
	}
}
