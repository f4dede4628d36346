package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/meta"
)

// A stream that could not be opened is there: it has its name, its files stay as they are
// and the journal lets go of nothing, until a start can open it, or it is deleted. Then the
// catalog's entry makes it gone, as with others; the goroutine that removes files removes
// its, and a start those that a crash left.

// ErrFilesStay says that what was deleted is deleted, and files of it could not be removed.
// The next start tries again.
var ErrFilesStay = errors.New("it is deleted, but files of it could not be removed: the next start tries again")

// unopened is a stream that could not be opened.
type unopened struct {
	// Set at construction.
	spec meta.Spec
	made *Config // what it was made with; nil: that cannot be read
	err  error
	gone chan struct{} // closed by discard

	left error // why files stayed when it was deleted; set before gone is closed
}

// member is which partition of a family it is; nil: of none that is known.
func (u *unopened) member() *Member {
	if u.made == nil {
		return nil
	}
	return u.made.Member
}

// discard removes the files of one that is deleted.
func (u *unopened) discard(o Opener) {
	u.left = o.Discard(&u.spec)
	close(u.gone)
}

// notOpened keeps a stream of the catalog in mind that could not be opened.
func (d *Directory) notOpened(spec meta.Spec, err error) {
	made, derr := decodeConfig(spec.Config)
	if derr != nil {
		made = nil // err says so
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken[[2]string{spec.Account, spec.Name}] = &unopened{spec: spec, made: made, err: err, gone: make(chan struct{})}
}

// droppedUnopened is Dropped for a stream that could not be opened; false if it was.
func (d *Directory) droppedUnopened(spec *meta.Spec) bool {
	k := [2]string{spec.Account, spec.Name}
	d.mu.Lock()
	u := d.broken[k]
	if u == nil || u.spec.ID != spec.ID {
		d.mu.Unlock()
		return false
	}
	delete(d.broken, k)
	d.discarded = append(d.discarded, u)
	d.mu.Unlock()
	if d.o.Deleted != nil {
		d.o.Deleted(spec.Account, spec.Name, u.member())
	}
	d.wantReap()
	return true
}

// Broken returns the streams that could not be opened, by account and name with a space
// between, with the reasons.
func (d *Directory) Broken() map[string]error {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[string]error, len(d.broken))
	for k, u := range d.broken {
		out[k[0]+" "+k[1]] = u.err
	}
	return out
}

// BrokenOf is Broken for one account's streams, by name alone.
func (d *Directory) BrokenOf(account string) map[string]error {
	out := map[string]error{}
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, u := range d.broken {
		if k[0] == account {
			out[k[1]] = u.err
		}
	}
	return out
}

// Remains is a stream, or a family, of which some or all could not be opened.
type Remains struct {
	Name string // of a family without the numbers
	// Member is which partition of a family the stream is, where it was asked for by its
	// own name; nil: of none that is known.
	Member *Member
	// Family is the first member that could not be opened of a family that was asked for
	// by its name; nil: it is a stream.
	Family *Member
	Parts  []Part // rising by number; those that are not there are left out
}

// Part is a stream that may not be open.
type Part struct {
	Stream *Stream // nil: it could not be opened
	// Made is what such a one was made with, which may have changed since; nil: that
	// cannot be read.
	Made *Config

	unopened *unopened
}

// spec is what the catalog knows of the stream.
func (p *Part) spec() *meta.Spec {
	if p.Stream != nil {
		return &p.Stream.spec
	}
	return &p.unopened.spec
}

// Remains returns the stream of a name, or the family whose partitions have that name before
// their numbers; nil if it is not there, or could be opened.
func (d *Directory) Remains(account, name string) *Remains {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.broken[[2]string{account, name}]; u != nil {
		return &Remains{Name: name, Member: u.member(), Parts: []Part{{Made: u.made, unopened: u}}}
	}
	r := &Remains{Name: name}
	for k, u := range d.broken {
		m := u.member()
		if k[0] == account && m != nil && k[1] == PartitionName(name, m.Index) && (r.Family == nil || m.Index < r.Family.Index) {
			r.Family = m
		}
	}
	if r.Family == nil {
		return nil
	}
	for i := range r.Family.Count {
		if p, there := d.partLocked(account, PartitionName(name, i), r.Family, i); there {
			r.Parts = append(r.Parts, p)
		}
	}
	return r
}

// partLocked returns the member of that name and number of the family that another one is of.
func (d *Directory) partLocked(account, name string, of *Member, index int) (Part, bool) {
	want := *of
	want.Index = index
	if s := d.accounts[account][name]; s != nil {
		m := s.Config().Member
		return Part{Stream: s}, m != nil && *m == want
	}
	if u := d.broken[[2]string{account, name}]; u != nil {
		m := u.member()
		return Part{Made: u.made, unopened: u}, m != nil && *m == want
	}
	return Part{}, false
}

// clearTimeout is how long DropRemains waits for files to be removed: clients wait for an
// answer no longer than some seconds, and there may be very many.
const clearTimeout = 3 * time.Second

// DropRemains deletes a stream, or all members of a family, for good. It returns when that
// is durable and the files are gone of what could not be opened. Where that takes longer than
// some seconds, or ctx ends meanwhile, it does not wait for the files. ErrFilesStay: all is
// deleted, but not those files. ErrNotFound: somebody else deleted it.
func (d *Directory) DropRemains(ctx context.Context, r *Remains) error {
	if err := d.dropPart(ctx, &r.Parts[0]); err != nil {
		return err
	}
	errs := make([]error, len(r.Parts))
	var wg sync.WaitGroup
	for i := 1; i < len(r.Parts); i++ {
		wg.Go(func() { errs[i] = d.dropPart(ctx, &r.Parts[i]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete the partitions of stream %q: %w", r.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	for i := range r.Parts {
		errs[i] = r.Parts[i].cleared(ctx)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrFilesStay, err)
	}
	return nil
}

// dropPart deletes a stream for good. It returns when that is durable.
func (d *Directory) dropPart(ctx context.Context, p *Part) error {
	if p.Stream != nil {
		return d.Drop(ctx, p.Stream)
	}
	spec := &p.unopened.spec
	d.mu.Lock()
	current := d.broken[[2]string{spec.Account, spec.Name}] == p.unopened
	d.mu.Unlock()
	if !current {
		return ErrNotFound
	}
	return d.o.Catalog.Drop(ctx, spec.ID)
}

// cleared waits until the files of a deleted stream that could not be opened are removed,
// or ctx ends. It says why some stay.
func (p *Part) cleared(ctx context.Context) error {
	if p.unopened == nil {
		return nil
	}
	select {
	case <-p.unopened.gone:
		return p.unopened.left
	case <-ctx.Done():
		return nil
	}
}
