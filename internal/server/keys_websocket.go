package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/listen"
)

// WebSocketConfig is where and how clients come in over WebSocket.
type WebSocketConfig struct {
	Named            bool
	Host             string // empty: that of the other clients
	Port             int    // -1: a free one
	NoTLS            bool
	TLS              TLSConfig
	SameOrigin       bool
	AllowedOrigins   []string
	HandshakeTimeout time.Duration
	Headers          map[string]string
	UserCookie       string
	PassCookie       string
	TokenCookie      string
}

// websocket reads the block.
func (v value) websocket() WebSocketConfig {
	w := WebSocketConfig{Named: true}
	const noIdentity = "who may come in over WebSocket is whoever may come in otherwise: a block of its own is not served yet"
	v.block(block{
		{names: "listen", set: func(_ *Config, v value) {
			if host, port, ok := v.hostPort(); ok {
				w.Host, w.Port = host, port
			}
		}},
		{names: "host net", set: func(_ *Config, v value) { w.Host = v.str() }},
		{names: "port", set: func(_ *Config, v value) { w.Port = v.count(-1, 65535) }},
		{names: "no_tls", set: func(_ *Config, v value) { w.NoTLS = v.boolean() }},
		{names: "tls", set: func(_ *Config, v value) { w.TLS = v.tls() }},
		{names: "same_origin", set: func(_ *Config, v value) { w.SameOrigin = v.boolean() }},
		{names: "allowed_origins allowed_origin allow_origins allow_origin origins origin", set: func(_ *Config, v value) { w.AllowedOrigins = v.strs() }},
		{names: "compress compression", set: func(_ *Config, v value) {
			if v.boolean() {
				v.warning("known, but not honoured: WebSockets are not compressed yet")
			}
		}},
		{names: "handshake_timeout", set: func(_ *Config, v value) { w.HandshakeTimeout = v.duration() }},
		{names: "headers", set: func(_ *Config, v value) { w.Headers = v.texts() }},
		{names: "user_cookie", set: func(_ *Config, v value) { w.UserCookie = v.str() }},
		{names: "pass_cookie", set: func(_ *Config, v value) { w.PassCookie = v.str() }},
		{names: "token_cookie", set: func(_ *Config, v value) { w.TokenCookie = v.str() }},
		{names: "jwt_cookie", set: refuse(noteJWT)},
		{names: "authorization authentication no_auth_user", set: refuse(noIdentity)},
		{names: "advertise", note: noteCluster},
		{names: "ping_interval", note: "it is that of all clients"},
	})
	switch {
	case w.Port == 0:
		v.fail("needs a port")
	case !w.TLS.Named && !w.NoTLS:
		v.fail("needs tls, or no_tls: true where a proxy before it secures the connections")
	case w.TLS.Map || w.TLS.First:
		v.fail("tls: verify_and_map and handshake_first are for clients that do not come over WebSocket")
	}
	return w
}

// texts reads a block whose keys are free.
func (v value) texts() map[string]string {
	m, ok := v.v.(map[string]any)
	if !ok {
		v.fail("must be a block in braces")
		return nil
	}
	out := map[string]string{}
	for key, x := range m {
		out[key] = v.wrap(key, x).str()
	}
	return out
}

// webTLS is how WebSockets are secured; nil: they are not.
func (w *WebSocketConfig) webTLS() (*tls.Config, error) {
	if !w.Named || w.NoTLS {
		return nil, nil
	}
	c, err := w.TLS.Options.Config()
	if err != nil {
		return nil, fmt.Errorf("websocket: tls: %w", err)
	}
	return c, nil
}

// mostMessage bounds a WebSocket's message, in bytes.
const mostMessage = 64 << 20

// openWebSocket begins to listen for WebSockets, where that is configured.
func (p *process) openWebSocket() error {
	w := &p.config.WebSocket
	if !w.Named {
		return nil
	}
	secure, err := w.webTLS()
	if err != nil {
		return err
	}
	host := w.Host
	if host == "" {
		host = p.config.Host
	}
	ln, err := listen.TCP(net.JoinHostPort(host, strconv.Itoa(max(w.Port, 0))), func(err error, pause time.Duration) {
		p.log.Warn("client not accepted", "error", err, "retry_in", pause)
	})
	if err != nil {
		return fmt.Errorf("listen for WebSocket clients: %w", err)
	}
	p.web = listen.NewWebSocket(ln, listen.WebSocketOptions{
		TLS: secure, SameOrigin: w.SameOrigin, AllowedOrigins: w.AllowedOrigins,
		HandshakeTimeout: w.HandshakeTimeout, Headers: w.Headers, MaxMessage: min(8*int64(p.config.MaxPayload), mostMessage),
		UserCookie: w.UserCookie, PassCookie: w.PassCookie, TokenCookie: w.TokenCookie,
	})
	go func() { p.webServed <- p.rooms.nats.Serve(p.web) }()
	p.log.Info("listening for WebSocket clients", "url", p.webURL())
	return nil
}

// webURL is where WebSocket clients connect; empty: nowhere.
func (p *process) webURL() string {
	if p.web == nil {
		return ""
	}
	scheme := "ws://"
	if !p.config.WebSocket.NoTLS {
		scheme = "wss://"
	}
	return scheme + p.web.Addr().String()
}
