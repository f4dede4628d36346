package journal

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// recovery reads the files of a directory once, at Open.
//
// A file's generation is that of its first batch; if that one is bad, the
// highest of any batch inside. The last batch of all says which generation is
// the oldest that was still needed; files before it are free. From there on
// batches follow each other by number and by the previous one's checksum, over
// the end of a file into the next. Where that chain breaks, a later batch that
// says "durable up to here or further" proves damage; without one, the rest was
// never acknowledged and is cut.
type recovery struct {
	j      *Journal
	replay func(Entry) error
	live   []*source // with a generation, oldest first
	passed []*source // older ones, which a batch said are not needed
	free   []*source
	window window
	leave  bool // nothing on the disk is to change

	fetched fetched

	// The chain: where the next batch is expected.
	at       int // in live
	off      int64
	number   uint64
	prev     uint32
	durable  uint64
	first    uint64 // the highest first_live that was found
	proven   uint64 // first_live of the last batch of the chain
	anything bool   // a batch was read
}

// source is a file being recovered.
type source struct {
	*file
	reader
	last uint64 // number of its last valid batch
}

func (s *source) String() string { return s.file.name }

func (r *recovery) run() error {
	if err := r.open(); err != nil {
		return err
	}
	if err := r.findLive(); err != nil {
		return err
	}
	if err := r.follow(); err != nil {
		return err
	}
	if err := r.cut(); err != nil {
		return err
	}
	return r.handOver()
}

// open opens all files and finds their generations.
func (r *recovery) open() error {
	j := r.j
	names, err := j.opts.FS.List(j.opts.Dir)
	if err != nil {
		return fmt.Errorf("list journal: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, fileSuffix+newSuffix) {
			if r.leave {
				continue
			}
			if err := j.opts.FS.Remove(path.Join(j.opts.Dir, name)); err != nil {
				return fmt.Errorf("remove unfinished journal file: %w", err)
			}
			continue
		}
		id, ours := fileID(name)
		if !ours {
			continue
		}
		j.nextID = max(j.nextID, id+1)
		if err := r.openFile(name); err != nil {
			return err
		}
	}
	slices.SortFunc(r.live, func(a, b *source) int { return cmp.Compare(a.generation, b.generation) })
	for i := 1; i < len(r.live); i++ {
		if r.live[i].generation == r.live[i-1].generation {
			return fmt.Errorf("journal files %s and %s have the same generation", r.live[i-1], r.live[i])
		}
	}
	return nil
}

func (r *recovery) openFile(name string) error {
	j := r.j
	f, err := j.opts.FS.OpenRead(path.Join(j.opts.Dir, name))
	if err != nil {
		return fmt.Errorf("open journal file: %w", err)
	}
	s := &source{file: &file{name: name, f: f, held: make(map[GroupID]uint64)}}
	j.ready = append(j.ready, s.file) // closed with the journal, whatever happens
	j.Metrics.Files.Add(1)
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("size of journal file: %w", err)
	}
	s.file.size = size &^ (blockSize - 1)
	s.reader = reader{f: f, name: name, size: s.file.size, win: &r.window}
	if err := r.identify(s); err != nil {
		return err
	}
	if s.generation == 0 {
		r.free = append(r.free, s)
	} else {
		r.live = append(r.live, s)
	}
	return nil
}

// identify finds the generation of a file, 0 if it has no batch.
func (r *recovery) identify(s *source) error {
	b, bad, err := s.head(0)
	if err != nil {
		return err
	}
	if errors.Is(bad, errNewer) {
		return fmt.Errorf("journal file %s: %w", s, bad)
	}
	if bad == nil {
		if b.identity != r.j.opts.Identity {
			return fmt.Errorf("%w: %s", ErrForeign, s)
		}
		s.generation = b.generation
		return nil
	}
	return s.scan(blockSize, func(f found) bool {
		if f.identity == r.j.opts.Identity {
			s.generation = max(s.generation, f.generation)
		}
		return true
	})
}

// findLive takes files out of use that the newest one says are not needed.
func (r *recovery) findLive() error {
	if len(r.live) == 0 {
		return nil
	}
	newest := r.live[len(r.live)-1]
	r.j.w.generation = newest.generation
	err := newest.scan(0, func(f found) bool {
		if f.generation == newest.generation && f.identity == r.j.opts.Identity {
			r.first = max(r.first, f.firstLive)
		}
		return true
	})
	if err != nil {
		return err
	}
	n := 0
	for n < len(r.live)-1 && r.live[n].generation < r.first {
		n++
	}
	r.passed = r.live[:n:n]
	r.live = r.live[n:]
	return nil
}

// follow replays the chain to its end.
func (r *recovery) follow() error {
	if len(r.live) == 0 {
		return nil
	}
	if err := r.begin(); err != nil {
		return err
	}
	for {
		s := r.live[r.at]
		b, bad, err := s.batch(r.off)
		if err != nil {
			return err
		}
		if bad == nil && !r.follows(s, b.header) {
			bad = errNoBatch
		}
		if bad == nil {
			if bad, err = r.reach(&b); err != nil {
				return err
			}
		}
		if bad == nil {
			if err := r.take(s, b); err != nil {
				return err
			}
			continue
		}
		if more, err := r.nextFile(); err != nil {
			return err
		} else if more {
			continue
		}
		if more, err := r.judge(bad); err != nil || !more {
			return err
		}
	}
}

// begin sets the chain to the first batch of the oldest file that is needed.
func (r *recovery) begin() error {
	s := r.live[0]
	b, bad, err := s.head(0)
	if err != nil {
		return err
	}
	if bad == nil {
		r.number, r.prev = b.number, b.prev
	} else {
		r.number = r.firstNumber()
	}
	r.durable = r.number - 1
	if s.generation <= r.first {
		return nil
	}
	return r.report(&DamageError{
		Generation: r.first, From: 0, To: r.number - 1,
		Reason: fmt.Sprintf("the oldest file has generation %d", s.generation),
	})
}

// firstNumber guesses the number of a first batch that cannot be read. Only the
// first file ever begins with 1; else it is what a later batch had before it.
func (r *recovery) firstNumber() uint64 {
	if r.live[0].generation == 1 {
		return 1
	}
	number := uint64(1)
	if err := r.live[0].scan(blockSize, func(f found) bool {
		if f.generation == r.live[0].generation {
			number = max(1, f.number-1)
			return false
		}
		return true
	}); err != nil {
		return 1
	}
	return number
}

// follows says whether a batch is the next of the chain.
func (r *recovery) follows(s *source, h header) bool {
	return h.generation == s.generation && h.identity == r.j.opts.Identity &&
		h.number == r.number && h.prev == r.prev
}

// take replays a batch and moves on behind it.
func (r *recovery) take(s *source, b batch) error {
	err := b.visit(func(rec record, data []byte, _ bool) error { return r.deliver(s, rec, data) })
	if err != nil {
		return err
	}
	r.advance(s, b.header)
	return nil
}

func (r *recovery) deliver(s *source, rec record, data []byte) error {
	if rec.kind.extent() {
		var err error
		if data, err = r.fetch(rec, data); err != nil {
			return err
		}
		r.j.extents.nameLocked(s.file, int64(len(data)))
	}
	s.hold(rec.group, rec.index)
	r.j.recovered.Entries++
	if data == nil && rec.kind.extent() {
		return nil
	}
	e := Entry{Group: rec.group, Term: rec.term, Index: rec.index, Kind: uint8(rec.kind), Data: data[:len(data):len(data)]}
	if err := r.replay(e); err != nil {
		return fmt.Errorf("replay journal entry %d/%d of group %d: %w", rec.term, rec.index, rec.group, err)
	}
	return nil
}

func (r *recovery) advance(s *source, h header) {
	r.anything = true
	r.j.recovered.Batches++
	r.j.recovered.Clean = h.flags&flagClosed != 0
	r.off += h.len()
	r.number, r.prev = h.number+1, h.checksum
	r.durable, r.proven = max(r.durable, h.durableUpto), h.firstLive
	s.written, s.last = r.off, h.number
}

// nextFile moves to the next file if the chain goes on there.
func (r *recovery) nextFile() (bool, error) {
	if r.at+1 >= len(r.live) {
		return false, nil
	}
	next := r.live[r.at+1]
	b, bad, err := next.head(0)
	if err != nil || bad != nil || !r.follows(next, b.header) {
		return false, err
	}
	r.at, r.off = r.at+1, 0
	return true, nil
}
