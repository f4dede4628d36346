package subjects

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
	"github.com/weirmq/weir/internal/vfs"
)

// ErrClosed says that a set is closed.
var ErrClosed = errors.New("subject index is closed")

// Pace is called before n bytes are read or written in the background. It may
// wait; its error ends the work.
type Pace func(n int) error

// Options say where a set lives.
type Options struct {
	FS vfs.FS
	// Dir is the log's directory. The first run makes it, and its name durable,
	// if it is not there; the directory above it exists.
	Dir string
	ID  record.Identity
	// Cache is shared by all sets of a process.
	Cache *Cache
}

// Set is the subject index of one log on disk. See the package comment.
type Set struct {
	o   Options
	key uint64 // names the set in the cache

	merging sync.Mutex

	mu     sync.Mutex
	runs   []*run // oldest first; the slice is never changed in place; guarded by mu
	old    []*run // replaced; their files may still be named by a list; guarded by mu
	next   uint64 // number of the next run; guarded by mu
	closed bool   // guarded by mu
	// cleared counts calls of Clear; guarded by mu.
	cleared uint64

	// made says that Dir is durable. Only WriteRun changes it.
	made bool
}

// Open opens the runs that list names, which is what List gave for the
// checkpoint that the caller came back to; empty if there is none. It reads the
// head of each, then removes all other runs of the directory. A run that is
// missing or damaged is an error that wraps record.ErrDamaged: the caller makes
// the index again, beginning with Open and an empty list. Nothing is removed
// then.
func Open(o Options, list []byte) (*Set, error) {
	next, names, err := parseList(list)
	if err != nil {
		return nil, err
	}
	s := &Set{o: o, key: o.Cache.sets.Add(1), next: next}
	for _, n := range names {
		r, err := s.openRun(n)
		if err != nil {
			return nil, err
		}
		s.runs = append(s.runs, r)
	}
	s.made = len(s.runs) > 0
	return s, s.removeOthers()
}

// removeOthers removes the runs of which the last checkpoint knows nothing.
// Their numbers are not used again in this life.
func (s *Set) removeOthers() error {
	names, err := s.o.FS.List(s.o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list runs: %w", err)
	}
	for _, name := range names {
		no, ok := runNumber(name)
		if !ok || slices.ContainsFunc(s.runs, func(r *run) bool { return r.no == no }) {
			continue
		}
		s.next = max(s.next, no+1)
		if err := s.o.FS.Remove(s.path(no)); err != nil {
			return fmt.Errorf("remove run: %w", err)
		}
	}
	return nil
}

// Close ends the set. Runs stay as the last stored list names them. Calls that
// run may go on or fail with ErrClosed.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	runs := append(slices.Clone(s.runs), s.old...)
	s.mu.Unlock()
	for _, r := range runs {
		s.o.Cache.forget(runKey{s.key, r.no})
	}
}

// WriteRun makes a run of entries, which rise by subject, each newer than what
// the set has of it. It is durable and read from when WriteRun returns, but
// belongs to the index only once the caller has stored List. Names and entries
// are not kept. Without entries nothing is written. One WriteRun at a time: the
// order of two at once would be undefined.
func (s *Set) WriteRun(entries iter.Seq2[[]byte, *Entry]) error {
	no, err := s.number()
	if err != nil {
		return err
	}
	var w *writer
	for name, e := range entries {
		if w == nil {
			if err := s.makeDir(); err != nil {
				return err
			}
			if w, err = s.newWriter(no, nil); err != nil {
				return err
			}
		}
		if err := w.add(name, e); err != nil {
			w.abandon()
			return err
		}
	}
	if w == nil {
		return nil
	}
	r, err := w.finish()
	if err != nil {
		w.abandon()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(slices.Clip(s.runs), r)
	return nil
}

// Clear empties the set: all subjects are gone. As with WriteRun, the runs of
// before belong to the index until the caller has stored List. A merge that is
// under way has no effect.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old = append(slices.Clip(s.old), s.runs...)
	s.runs = nil
	s.cleared++
}

// makeDir makes the directory durable, which the log may not have written yet.
func (s *Set) makeDir() error {
	if s.made {
		return nil
	}
	if err := s.o.FS.MkdirAll(s.o.Dir); err != nil {
		return fmt.Errorf("make directory of runs: %w", err)
	}
	if err := s.o.FS.SyncDir(path.Dir(s.o.Dir)); err != nil {
		return fmt.Errorf("sync directory of runs: %w", err)
	}
	s.made = true
	return nil
}

// number takes the number of the next run.
func (s *Set) number() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	s.next++
	return s.next - 1, nil
}

// List names the runs of now, for the caller's checkpoint: 13 bytes and 12 for
// each run.
func (s *Set) List() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]named, len(s.runs))
	for i, r := range s.runs {
		names[i] = named{r.no, r.sum}
	}
	return appendList(nil, s.next, names)
}

// Saved says that a checkpoint with list is durable and that no older one will
// be come back to. Replaced runs that list does not name are removed, once
// nobody reads them. A removal that fails is done again by the next Open.
func (s *Set) Saved(list []byte) error {
	_, names, err := parseList(list)
	if err != nil {
		return err
	}
	s.mu.Lock()
	var gone []*run
	s.old = slices.DeleteFunc(slices.Clone(s.old), func(r *run) bool {
		if slices.Contains(names, named{r.no, r.sum}) {
			return false
		}
		r.unwanted = true
		if r.refs == 0 {
			gone = append(gone, r)
		}
		return true
	})
	s.mu.Unlock()
	return s.remove(gone)
}

func (s *Set) remove(runs []*run) error {
	var errs []error
	for _, r := range runs {
		s.o.Cache.forget(runKey{s.key, r.no})
		if err := s.o.FS.Remove(s.path(r.no)); err != nil {
			errs = append(errs, fmt.Errorf("remove run: %w", err))
		}
	}
	return errors.Join(errs...)
}

// acquire gives the runs of now, which stay readable until release.
func (s *Set) acquire() ([]*run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	for _, r := range s.runs {
		r.refs++
	}
	return s.runs, nil
}

func (s *Set) release(runs []*run) {
	var gone []*run
	s.mu.Lock()
	for _, r := range runs {
		if r.refs--; r.refs == 0 && r.unwanted {
			gone = append(gone, r)
		}
	}
	s.mu.Unlock()
	if len(gone) > 0 {
		_ = s.remove(gone) // the next Open removes what stays
	}
}

// View is what a set is at one moment: what is written or merged later does not
// change it. It must be closed. It is safe for concurrent use.
type View struct {
	s    *Set
	runs []*run
}

// View gives the set of now. It does no I/O.
func (s *Set) View() (*View, error) {
	runs, err := s.acquire()
	if err != nil {
		return nil, err
	}
	return &View{s, runs}, nil
}

// Close ends the use of the view. It removes files that only the view kept.
func (v *View) Close() { v.s.release(v.runs) }

// Lookup finds the entry of a literal subject; false if it has no live record.
// It may read the disk: one block a run, and block indexes that are not cached.
func (v *View) Lookup(name []byte) (Entry, bool, error) {
	for _, r := range slices.Backward(v.runs) {
		p := pages{run: r}
		e, ok, err := p.find(name)
		p.close()
		if err != nil {
			return Entry{}, false, err
		}
		if ok {
			return e, !e.Tombstone(), nil
		}
	}
	return Entry{}, false, nil
}

// Each calls f for each subject that pattern matches, rising, until f returns
// false. An empty pattern matches all. name and e are valid during the call;
// f may call the set. Its cost is linear in the subjects that begin as the
// pattern does before its first wildcard.
func (v *View) Each(pattern string, f func(name []byte, e *Entry) bool) error {
	if pattern != "" && !subject.HasWildcard(pattern) {
		e, ok, err := v.Lookup([]byte(pattern))
		if ok {
			f([]byte(pattern), &e)
		}
		return err
	}
	prefix, all := literalPrefix(pattern)
	m := newMerged(v.runs, []byte(prefix), false, nil)
	defer m.close()
	for m.next() {
		if !bytes.HasPrefix(m.name(), []byte(prefix)) {
			break
		}
		if m.entry().Tombstone() || !all && !subject.MatchBytes(pattern, m.name()) {
			continue
		}
		if !f(m.name(), m.entry()) {
			break
		}
	}
	return m.err
}

// Lookup finds the entry of a literal subject in the set of now.
func (s *Set) Lookup(name []byte) (Entry, bool, error) {
	v, err := s.View()
	if err != nil {
		return Entry{}, false, err
	}
	defer v.Close()
	return v.Lookup(name)
}

// Each calls f for the subjects of now that pattern matches.
func (s *Set) Each(pattern string, f func(name []byte, e *Entry) bool) error {
	v, err := s.View()
	if err != nil {
		return err
	}
	defer v.Close()
	return v.Each(pattern, f)
}

// literalPrefix is what every subject that a pattern matches begins with, and
// whether the pattern matches whatever begins so.
func literalPrefix(pattern string) (prefix string, all bool) {
	if pattern == "" || pattern == ">" {
		return "", true
	}
	end := 0
	for rest := pattern; rest != ""; {
		token, more, last := subject.Cut(rest)
		if token == "*" || token == ">" || last {
			break
		}
		end += len(token) + 1
		rest = more
	}
	return pattern[:end], strings.HasSuffix(pattern, ".>") && end == len(pattern)-1
}

// Stats describe a set.
type Stats struct {
	Runs    int
	Entries uint64 // of all runs: a subject counts once in each, tombstones too
	Bytes   int64  // of all files
}

// Stats gives the numbers of now.
func (s *Set) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st Stats
	for _, r := range s.runs {
		st.Runs++
		st.Entries += r.entries
		st.Bytes += r.size()
	}
	return st
}
