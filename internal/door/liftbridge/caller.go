package liftbridge

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Authenticator says who a caller is.
type Authenticator interface {
	// Authenticate judges what a caller shows. The error is for the log.
	Authenticate(c Credentials) (*Identity, error)
}

// Credentials are what a caller shows.
type Credentials struct {
	User, Password, Token string            // empty: it shows none
	Certificate           *x509.Certificate // verified; nil: it shows none
}

// Identity is who a caller is and what it may do. It is not changed.
type Identity struct {
	Account string
	User    string
	May     Permissions // nil: everything is allowed
}

// caller is who made a call.
type caller struct {
	Identity
	name  string // common name of its certificate; empty: it showed none
	rules *rules // in force before it was found out who it is
}

type callerKey struct{}

// callerOf is who made a call that was admitted.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// healthService is answered to everybody.
const healthService = "/grpc.health.v1.Health/"

func (d *Door) admitUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := d.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (d *Door) admitStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := d.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return next(srv, &admitted{ss, ctx})
}

// admitted is a call with its caller.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

func (a *admitted) Context() context.Context { return a.ctx }

// admit finds out who calls, unless everybody may.
func (d *Door) admit(ctx context.Context, method string) (context.Context, error) {
	if strings.HasPrefix(method, healthService) {
		return ctx, nil
	}
	c, err := d.identify(ctx)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// identify finds out who made a call, as things are now.
func (d *Door) identify(ctx context.Context) (*caller, error) {
	c := &caller{Identity: Identity{Account: d.o.Account}, rules: d.rules.Load()}
	var shows Credentials
	if p, ok := peer.FromContext(ctx); ok {
		if t, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
			shows.Certificate = t.State.VerifiedChains[0][0]
			c.name = shows.Certificate.Subject.CommonName
		}
	}
	if d.o.Auth != nil {
		err := shows.read(ctx)
		var id *Identity
		if err == nil {
			id, err = d.o.Auth.Authenticate(shows)
		}
		if err != nil {
			d.log.Warn("caller not let in", "user", shows.User, "certificate", c.name, "error", err)
			return nil, status.Error(codes.Unauthenticated, "Authorization Violation")
		}
		c.Identity = *id
	}
	if d.space(c.Account) == nil {
		return nil, status.Error(codes.FailedPrecondition, "account is not configured any more")
	}
	return c, nil
}

var errCredentials = errors.New("credentials are neither basic nor bearer")

// read takes the credentials of a call: "authorization: Basic …" or "Bearer …".
func (c *Credentials) read(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) == 0 {
		return nil
	}
	kind, what, _ := strings.Cut(values[0], " ")
	switch strings.ToLower(kind) {
	case "bearer":
		c.Token = strings.TrimSpace(what)
		return nil
	case "basic":
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(what))
		if err != nil {
			return errCredentials
		}
		c.User, c.Password, _ = strings.Cut(string(b), ":")
		return nil
	}
	return errCredentials
}
