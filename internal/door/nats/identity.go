package nats

import (
	"crypto/x509"
	"errors"
	"net"
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// Credentials are what a client shows to be let in.
type Credentials struct {
	Connect    wire.Connect // as it was sent; the zero-credential NewConnect where none was
	Sent       bool         // a CONNECT was sent
	Nonce      string       // of the INFO; empty where there was none
	Remote     net.Addr
	Connection uint64 // the connection's number
	// Certificate is what the client has shown for TLS, verified where the settings ask
	// for that; nil: none.
	Certificate *x509.Certificate
}

// Identity is who a connection is. It is immutable.
type Identity struct {
	Account     string
	User        string // what monitoring shows; empty where nobody logged in
	Space       *broker.Space
	Permissions Permissions // nil: everything is allowed
	System      bool        // of the system account
	MaxPayload  int         // bytes; 0: the door's
	MaxSubs     int         // subscriptions of the connection; 0: the door's
	Expires     time.Time   // the connection is closed then; zero: never
	Release     func()      // gives back what letting it in took; may be nil; called once
}

// Permissions are one connection's. Other publishers' goroutines call MayReceive
// and Delivered, everything else only its reader.
type Permissions interface {
	broker.Permissions
	// MaySubscribe judges a subscription; queue is empty for a plain one.
	MaySubscribe(subject, queue string) bool
	// Filters says whether an allowed subscription may meet subjects that are
	// denied, so that each delivery has to be judged by MayReceive.
	Filters(subject string) bool
	MayReceive(subject []byte) bool
	// TracksReplies says that Delivered is to be told every reply subject that the
	// client received, as it may answer them.
	TracksReplies() bool
	Delivered(reply []byte)
}

// Authenticator lets clients in. Its methods may be called by any goroutine.
type Authenticator interface {
	// Required says whether a client has to send credentials.
	Required() bool
	// Anonymous says whether a client that sends no CONNECT is let in all the same,
	// as a configured user.
	Anonymous() bool
	// Nonce says whether INFO has to carry one.
	Nonce() bool
	// Authenticate gives the identity of a client. The error, where it is a
	// *wire.Error, says what the client is told; any other is an authorization
	// violation, whose text goes to the log only.
	Authenticate(c *Credentials) (*Identity, error)
	// Reauthenticate judges a client that another authenticator let in as old. The
	// error is ErrUnknownUser where its user exists no longer, and otherwise as that
	// of Authenticate.
	Reauthenticate(c *Credentials, old *Identity) (*Identity, error)
}

// ErrUnknownUser says that no such user is configured.
var ErrUnknownUser = errors.New("unknown user")

// Open lets everybody in, to one space.
type Open struct {
	Account string
	Space   *broker.Space
}

// Required implements Authenticator.
func (*Open) Required() bool { return false }

// Anonymous implements Authenticator.
func (*Open) Anonymous() bool { return true }

// Nonce implements Authenticator.
func (*Open) Nonce() bool { return false }

// Authenticate implements Authenticator.
func (o *Open) Authenticate(*Credentials) (*Identity, error) {
	return &Identity{Account: o.Account, Space: o.Space}, nil
}

// Reauthenticate implements Authenticator.
func (o *Open) Reauthenticate(c *Credentials, _ *Identity) (*Identity, error) {
	return o.Authenticate(c)
}
