package liftbridge

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// rules are what calls are judged by, beside what the Authenticator says. They are not
// changed: others take their place.
type rules struct {
	policy  Policy        // nil: everything is allowed
	changed chan struct{} // closed when others are in force
}

// UpdateRules has calls judged by a policy from now on, by none if it is nil, and calls
// that go on by what the Authenticator says now. A subscription that is not allowed any
// more ends with PERMISSION_DENIED; a call of somebody who is not let in any more with
// UNAUTHENTICATED.
func (d *Door) UpdateRules(p Policy) {
	old := d.rules.Swap(&rules{policy: p, changed: make(chan struct{})})
	close(old.changed)
}

// again finds out who made a call that goes on, as things are now.
func (d *Door) again(ctx context.Context, was *caller) (*caller, error) {
	c, err := d.identify(ctx)
	if err != nil {
		return nil, err
	}
	if c.Account != was.Account {
		return nil, status.Error(codes.Unavailable, "the caller belongs to another account now")
	}
	return c, nil
}

// allowed judges a subscription again where other rules are in force.
func (r *reading) allowed() error {
	if r.door.rules.Load() == r.caller.rules {
		return nil
	}
	c, err := r.door.again(r.call.Context(), r.caller)
	if err != nil {
		return err
	}
	if err := r.door.maySubscribe(c, r.family, r.number); err != nil {
		return status.Error(codes.PermissionDenied, status.Convert(err).Message())
	}
	r.caller = c
	return nil
}

// judged is a caller as rules have it.
type judged struct {
	rules  *rules
	caller *caller
	err    error // why it is not let in any more
}

// who is the caller by the rules in force, for any goroutine of the call.
func (a *session) who() (*caller, error) {
	in := a.door.rules.Load()
	known := a.judged.Load()
	if known.rules != in {
		c, err := a.door.again(a.call.Context(), known.caller)
		if err != nil {
			c = known.caller // its account is compared with the next time
		}
		known = &judged{in, c, err}
		a.judged.Store(known)
	}
	return known.caller, known.err
}
