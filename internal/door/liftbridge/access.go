package liftbridge

import (
	"context"
	"errors"
	"slices"

	"github.com/weirmq/weir/internal/group"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Permissions are what a user may do with subjects. They are asked by any goroutine.
type Permissions interface {
	// MayPublish judges a subject, MayPublishAll all that a pattern stands for.
	MayPublish(subject string) bool
	MayPublishAll(pattern string) bool
	// MayRead judges a subscription to a pattern, of which some subjects may be denied,
	// or a message by its subject.
	MayRead(pattern string) bool
}

// Policy says what a caller that showed a certificate may do. It is asked by any
// goroutine.
type Policy interface {
	// Allows judges an action on a resource by the certificate's common name.
	Allows(name, resource, action string) (bool, error)
}

// authorize judges a call by the policy in force.
func (d *Door) authorize(c *caller, resource, action string) error {
	p := d.rules.Load().policy
	if p == nil {
		return nil
	}
	if c.name == "" {
		return status.Error(codes.Unknown, "api: Failed to retrieve client ID")
	}
	ok, err := p.Allows(c.name, resource, action)
	if err != nil {
		d.log.Error("policy not applied", "client", c.name, "resource", resource, "action", action, "error", err)
	}
	if err != nil || !ok {
		d.log.Debug("call refused by the policy", "client", c.name, "resource", resource, "action", action)
		return refused(resource, action)
	}
	return nil
}

// refused is what a caller is told that may not do something.
func refused(resource, action string) error {
	return status.Errorf(codes.Unknown, "The client is not authorized to call %s on resource %s", action, resource)
}

// publishes judges a publish by the user's permissions.
func (c *caller) publishes(subject string) bool { return c.May == nil || c.May.MayPublish(subject) }

// reads judges a subscription to a partition by the user's permissions.
func (c *caller) reads(f *family, n int32) bool {
	if c.May == nil {
		return true
	}
	return !slices.ContainsFunc(f.subjectsOf(n), func(s string) bool { return !c.May.MayRead(s) })
}

// receives judges a message of a partition that the user may read: some of what its
// subjects stand for may be denied, and other doors' streams also hold what came by
// other ways.
func (c *caller) receives(subject []byte) bool {
	return c.May == nil || c.May.MayRead(string(subject))
}

// sees says whether a user is told what a partition is like: who may read it or publish
// to it.
func (c *caller) sees(f *family, n int32) bool {
	return c.May == nil || c.May.MayPublish(f.subjectOf(n)) || c.reads(f, n)
}

// alters judges a change of partitions: who may, may publish all that they take.
func (c *caller) alters(f *family, list []int32) bool {
	if c.May == nil {
		return true
	}
	for _, n := range list {
		if slices.ContainsFunc(f.subjectsOf(n), func(s string) bool { return !c.May.MayPublishAll(s) }) {
			return false
		}
	}
	return true
}

// creates judges the making of a stream in the same way.
func (c *caller) creates(subject string, partitions int32) bool {
	if c.May == nil {
		return true
	}
	for n := range partitions {
		if !c.May.MayPublishAll(wire.PartitionSubject(subject, n)) {
			return false
		}
	}
	return true
}

// maySubscribe judges a subscription to a partition.
func (d *Door) maySubscribe(c *caller, f *family, n int32) error {
	if err := d.authorize(c, f.name, "Subscribe"); err != nil {
		return err
	}
	if !c.reads(f, n) {
		return refused(f.name, "Subscribe")
	}
	return nil
}

// mayJoin judges a member of a group, who may read all partitions of its streams.
func (d *Door) mayJoin(c *caller, streams []string) error {
	for _, name := range streams {
		if err := d.authorize(c, name, "Subscribe"); err != nil {
			return err
		}
		f := d.find(c.Account, name)
		if f == nil || c.May == nil {
			continue
		}
		for n := range int32(len(f.parts)) {
			if !c.reads(f, n) {
				return refused(name, "Subscribe")
			}
		}
	}
	return nil
}

// mayAct judges who acts as a member of a group: it may do so who may join for the same
// streams. Of a group or member that is not there the call itself tells.
func (d *Door) mayAct(ctx context.Context, c *caller, k group.Key, consumer string) error {
	if c.May == nil && d.rules.Load().policy == nil {
		return nil
	}
	g, err := d.groups.Members(ctx, k)
	switch {
	case errors.Is(err, group.ErrNoGroup):
		return nil
	case err != nil:
		return groupStatus(err, k, consumer, "", 0)
	}
	for _, m := range g.Members {
		if m.Consumer == consumer {
			return d.mayJoin(c, m.Streams)
		}
	}
	return nil
}
