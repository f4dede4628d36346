package nats

import (
	"net"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

// WebClient is a connection that came over WebSocket.
type WebClient interface {
	net.Conn
	// Secure says whether it is a TLS one.
	Secure() bool
	// Cookies gives what the client's cookies say of who it is.
	Cookies() (user, pass, token string)
	// End sets what the client is told when the connection is closed.
	End(code int, reason string)
}

// fillIn adds what cookies say to what a CONNECT does not.
func fillIn(connect *wire.Connect, w WebClient) {
	user, pass, token := w.Cookies()
	for _, f := range [...]struct {
		field *string
		value string
	}{{&connect.User, user}, {&connect.Pass, pass}, {&connect.Token, token}} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
}

// Status codes of WebSocket.
const (
	webNormal    = 1000
	webGoingAway = 1001
	webProtocol  = 1002
	webPolicy    = 1008
	webTooBig    = 1009
	webInternal  = 1011
)

// webCode is the status code for a reason.
func webCode(reason string) int {
	switch reason {
	case wire.ReasonClient:
		return webNormal
	case wire.ReasonAuthTimeout, wire.ReasonAuthFailure, wire.ReasonAuthExpired, wire.ReasonRevoked, wire.ReasonSlowPending,
		wire.ReasonSlowDeadline, wire.ReasonConns, wire.ReasonAccountConns, wire.ReasonSubs:
		return webPolicy
	case wire.ReasonParse, wire.ReasonProtocol, wire.ReasonVersion, wire.ReasonControlLine:
		return webProtocol
	case wire.ReasonPayload:
		return webTooBig
	case wire.ReasonWrite, wire.ReasonRead, wire.ReasonStale, wire.ReasonShutdown:
		return webGoingAway
	}
	return webInternal
}
