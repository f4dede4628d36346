package nats

import (
	"crypto/tls"
	"net"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

// info gives the INFO for this client.
func (c *Conn) info() *wire.Info {
	info := *c.door.info.Load()
	info.AuthRequired = (*c.door.auth.Load()).Required()
	info.MaxPayload = int32(c.maxPayload(c.door.limits.Load()))
	if s := c.secured; s != nil {
		info.TLSRequired, info.TLSAvailable = !s.settings.Optional, s.settings.Optional
		info.TLSVerify = s.settings.Config.ClientAuth >= tls.VerifyClientCertIfGiven
	}
	if c.web != nil {
		info.TLSRequired, info.ConnectURLs = c.web.Secure(), nil
		if a, ok := c.web.LocalAddr().(*net.TCPAddr); ok {
			info.Host, info.Port = a.IP.String(), a.Port
		}
	}
	info.ClientID, info.ClientIP, info.Nonce = c.id, c.host, c.nonce
	return &info
}

// Info is what every INFO says.
func (d *Door) Info() wire.Info { return *d.info.Load() }

// UpdateInfo changes what every INFO says from now on. With tell set, clients
// that understand an INFO at any time get one.
func (d *Door) UpdateInfo(change func(*wire.Info), tell bool) {
	d.mu.Lock()
	info := *d.info.Load()
	change(&info)
	d.info.Store(&info)
	d.mu.Unlock()
	if !tell {
		return
	}
	for _, c := range d.all() {
		c.tellInfo()
	}
}

// tellInfo sends an INFO to a client that has had its first PONG.
func (c *Conn) tellInfo() {
	c.mu.Lock()
	ready := c.told && c.settings.Protocol >= 1
	c.mu.Unlock()
	if ready && c.closing.Load() == nil {
		c.send(wire.AppendInfo(nil, c.info()))
	}
}
