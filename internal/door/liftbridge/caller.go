package liftbridge

import (
	"context"
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
	// Authenticate judges what a caller shows; empty texts: nothing. The error is for
	// the log.
	Authenticate(user, password, token string) (*Identity, error)
}

// Identity is who a caller is and what it may do.
type Identity struct {
	Account string
	User    string
	// MayPublish and MayRead judge subjects; nil: all are allowed.
	MayPublish, MayRead func(subject string) bool
}

// Policy says what a caller that showed a certificate may do.
type Policy interface {
	// Allows judges an action on a resource by the certificate's common name.
	Allows(name, resource, action string) (bool, error)
}

// caller is who made a call.
type caller struct {
	Identity
	name string // common name of its certificate; empty: it showed none
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

// admit finds out who calls.
func (d *Door) admit(ctx context.Context, method string) (context.Context, error) {
	if strings.HasPrefix(method, healthService) {
		return ctx, nil
	}
	c := &caller{Identity: Identity{Account: d.o.Account}}
	if p, ok := peer.FromContext(ctx); ok {
		if t, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
			c.name = t.State.VerifiedChains[0][0].Subject.CommonName
		}
	}
	if d.o.Auth != nil {
		user, password, token, err := shown(ctx)
		var id *Identity
		if err == nil {
			id, err = d.o.Auth.Authenticate(user, password, token)
		}
		if err != nil {
			d.log.Warn("caller not let in", "user", user, "error", err)
			return nil, status.Error(codes.Unauthenticated, "Authorization Violation")
		}
		c.Identity = *id
	}
	if d.space(c.Account) == nil {
		return nil, status.Error(codes.FailedPrecondition, "account is not configured any more")
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

var errCredentials = errors.New("credentials are neither basic nor bearer")

// shown reads the credentials of a call: "authorization: Basic …" or "Bearer …".
func shown(ctx context.Context) (user, password, token string, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) == 0 {
		return "", "", "", nil
	}
	kind, what, _ := strings.Cut(values[0], " ")
	switch strings.ToLower(kind) {
	case "bearer":
		return "", "", strings.TrimSpace(what), nil
	case "basic":
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(what))
		if err != nil {
			return "", "", "", errCredentials
		}
		user, password, _ = strings.Cut(string(b), ":")
		return user, password, "", nil
	}
	return "", "", "", errCredentials
}

// authorize judges a call by the policy.
func (d *Door) authorize(c *caller, resource, action string) error {
	if d.o.Policy == nil {
		return nil
	}
	if c.name == "" {
		return status.Error(codes.Unknown, "api: Failed to retrieve client ID")
	}
	ok, err := d.o.Policy.Allows(c.name, resource, action)
	if err != nil {
		d.log.Error("policy not applied", "client", c.name, "action", action, "error", err)
	}
	if err != nil || !ok {
		return refused(resource, action)
	}
	return nil
}

// refused is what a caller is told that may not do something.
func refused(resource, action string) error {
	return status.Errorf(codes.Unknown, "The client is not authorized to call %s on resource %s", action, resource)
}

// publishes judges a publish by the user's permissions.
func (c *caller) publishes(subject string) bool { return c.MayPublish == nil || c.MayPublish(subject) }

// reads judges a subscription to a stream of these subjects by the user's
// permissions.
func (c *caller) reads(subject string) bool { return c.MayRead == nil || c.MayRead(subject) }

// alters judges a change of a stream: who may, may publish what it takes.
func (c *caller) alters(subject, resource, action string) error {
	if c.publishes(subject) {
		return nil
	}
	return refused(resource, action)
}
