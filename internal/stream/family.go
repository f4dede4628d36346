package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// A family is several streams that are one to its users: its partitions. It is there
// when its first member is: that is created last and deleted first, so that a crash
// in between leaves members that nobody finds and a start removes.

// CreateFamily makes the members of a family, whose configurations are given in the
// order of their numbers; one alone is just a stream. It returns when that is
// durable. Where a name is taken the error is ErrExists.
func (d *Directory) CreateFamily(ctx context.Context, account string, members []Config) ([]*Stream, error) {
	if len(members) > 1 {
		done, err := d.reserveName(ctx, account, strings.TrimSuffix(members[0].Name, PartitionName("", 0)))
		if err != nil {
			return nil, err
		}
		defer done()
	}
	out := make([]*Stream, len(members))
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i := 1; i < len(members); i++ {
		wg.Go(func() { out[i], errs[i] = d.Create(ctx, account, members[i]) })
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil {
		out[0], err = d.Create(ctx, account, members[0])
	}
	if err == nil {
		return out, nil
	}
	for _, s := range out[1:] {
		if s == nil {
			continue
		}
		if derr := d.Drop(context.WithoutCancel(ctx), s); derr != nil {
			err = errors.Join(err, derr)
		}
	}
	return nil, err
}

// DropFamily deletes all members of a family for good.
func (d *Directory) DropFamily(ctx context.Context, members []*Stream) error {
	if err := d.Drop(ctx, members[0]); err != nil {
		return err
	}
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i := 1; i < len(members); i++ {
		wg.Go(func() { errs[i] = d.Drop(ctx, members[i]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete the partitions of stream %q: %w", members[0].Config().Member.Family, err)
	}
	return nil
}

// UpdateFamily changes the members of a family, whose configurations are given in the
// order of their numbers, the first member first. It returns when that is durable. After
// an error some may have changed: the same update can be made again.
func (d *Directory) UpdateFamily(ctx context.Context, members []*Stream, to []Config) error {
	if err := members[0].Update(ctx, to[0]); err != nil {
		return err
	}
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i := 1; i < len(members); i++ {
		wg.Go(func() { errs[i] = members[i].Update(ctx, to[i]) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// takenLocked says whether a stream, or a family, has a name, be it one that could not be
// opened. The directory's lock is held.
func (d *Directory) takenLocked(account, name string) bool {
	all, first := d.accounts[account], PartitionName(name, 0)
	if all[name] != nil || d.broken[[2]string{account, name}] != nil || d.broken[[2]string{account, first}] != nil {
		return true
	}
	s := all[first]
	return s != nil && s.Config().Member != nil
}

// findPartial notes, before anything is served, the members of families that are not
// there: they were being created or deleted when the server ended. A family whose first
// member could not be opened is there.
func (d *Directory) findPartial(all []*Stream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	whole := map[[2]string]bool{}
	for _, s := range all {
		if m := s.Config().Member; m != nil && m.Index == 0 {
			whole[[2]string{s.Account(), m.Family}] = true
		}
	}
	partial := func(account, name string, m *Member) bool {
		return m != nil && !whole[[2]string{account, m.Family}] && d.broken[[2]string{account, firstOf(name, m.Index)}] == nil
	}
	for _, s := range all {
		if partial(s.Account(), s.Name(), s.Config().Member) {
			d.partial = append(d.partial, Part{Stream: s})
		}
	}
	for k, u := range d.broken {
		if partial(k[0], k[1], u.member()) {
			d.partial = append(d.partial, Part{Made: u.made, unopened: u})
		}
	}
	if len(d.partial) > 0 {
		d.wantReap()
	}
}

// firstOf is the name of the first member of a family, of which another one has this name
// and index.
func firstOf(name string, index int) string {
	return PartitionName(strings.TrimSuffix(name, PartitionName("", index)), 0)
}

// dropPartial deletes what findPartial noted.
func (d *Directory) dropPartial(ctx context.Context) {
	d.mu.Lock()
	all := d.partial
	d.partial = nil
	d.mu.Unlock()
	for _, p := range all {
		spec := p.spec()
		d.log.Info("partition of a stream that was not finished is removed", "stream", spec.Name, "account", spec.Account)
		if err := d.dropPart(ctx, &p); err != nil {
			d.log.Error("partition of a stream that was not finished is not removed", "stream", spec.Name, "account", spec.Account, "error", err)
		}
	}
}
