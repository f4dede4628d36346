package journal

import (
	"bytes"
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
	free   []*source
	window window

	// The chain: where the next batch is expected.
	at       int // in live
	off      int64
	number   uint64
	prev     uint32
	durable  uint64
	first    uint64 // first_live of the last batch
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
	r.free = append(r.free, r.live[:n]...)
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
	s.hold(rec.group, rec.index)
	r.j.recovered.Entries++
	e := Entry{Group: rec.group, Term: rec.term, Index: rec.index, Kind: rec.kind, Data: data[:len(data):len(data)]}
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
	r.durable = max(r.durable, h.durableUpto)
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

// judge decides what a break of the chain is. more says that it goes on behind
// damage; else the chain ends here.
func (r *recovery) judge(bad error) (more bool, err error) {
	next, at, proof, err := r.later()
	if err != nil {
		return false, err
	}
	if !proof {
		r.j.recovered.Torn = next != nil || r.torn(bad)
		return false, nil
	}
	if at > r.at {
		if bad, err = r.stepOver(bad); err != nil {
			return false, err
		}
	}
	s := r.live[r.at]
	d := &DamageError{
		File: s.file.name, Generation: s.generation, Offset: r.off,
		From: r.number, To: max(r.number, next.number-1), Reason: bad.Error(),
	}
	if r.off >= s.reader.size {
		d.Reason = "the file that followed is missing"
	}
	if err := r.salvage(s, d); err != nil {
		return false, err
	}
	if err := r.report(d); err != nil {
		return false, err
	}
	r.at, r.off, r.number, r.prev = at, next.off, next.number, next.prev
	return true, nil
}

// stepOver moves to the next file if it is its first batch that is bad, and
// says what is wrong there.
func (r *recovery) stepOver(bad error) (error, error) {
	_, there, err := r.live[r.at+1].batch(0)
	if there == nil || err != nil || r.torn(bad) {
		return bad, err
	}
	r.at, r.off = r.at+1, 0
	return there, nil
}

// torn says whether the place where the chain ends holds a batch that was not
// written to its end, rather than nothing.
func (r *recovery) torn(bad error) bool { return !errors.Is(bad, errNoBatch) }

// later looks behind the break: for the first valid batch with a higher number,
// and for proof that the one expected here was durable.
func (r *recovery) later() (next *found, at int, proof bool, err error) {
	from := r.off
	for i := r.at; i < len(r.live); i++ {
		s := r.live[i]
		err := s.scan(from, func(f found) bool {
			mine := f.generation == s.generation && f.identity == r.j.opts.Identity
			if !mine || f.number < r.number || i == r.at && f.off == r.off {
				return true
			}
			if next == nil && f.number > r.number {
				next, at = &f, i
			}
			proof = proof || f.durableUpto >= r.number
			return !proof || next == nil
		})
		if err != nil {
			return nil, 0, false, err
		}
		if proof && next != nil {
			break
		}
		from = 0
	}
	return next, at, proof && next != nil, nil
}

// salvage replays what is left of a bad batch whose directory is good, and
// notes the rest as lost.
func (r *recovery) salvage(s *source, d *DamageError) error {
	b, bad, err := s.batch(r.off)
	if err != nil || !errors.Is(bad, errChecksum) || b.directory == nil || !r.follows(s, b.header) {
		return err
	}
	return b.visit(func(rec record, data []byte, ok bool) error {
		if ok {
			return r.deliver(s, rec, data)
		}
		d.Lost = append(d.Lost, Entry{Group: rec.group, Term: rec.term, Index: rec.index, Kind: rec.kind})
		return nil
	})
}

// report lets the owner decide whether to go on.
func (r *recovery) report(d *DamageError) error {
	r.j.recovered.Damage = append(r.j.recovered.Damage, d)
	r.j.log.Error("journal damaged", "file", d.File, "offset", d.Offset, "from", d.From, "to", d.To, "reason", d.Reason)
	if r.j.opts.OnDamage == nil {
		return d
	}
	if err := r.j.opts.OnDamage(d); err != nil {
		return errors.Join(d, err)
	}
	return nil
}

// cut takes what lies behind the end of the chain out of the way, so that it can
// never be read as a part of what is written from now on, and makes durable what
// was replayed.
func (r *recovery) cut() error {
	if len(r.live) == 0 {
		return nil
	}
	for i, s := range r.live {
		from := int64(0)
		if i == r.at {
			from = r.off
		}
		if i < r.at {
			if err := r.syncUnproven(s); err != nil {
				return err
			}
			continue
		}
		if err := r.erase(s, from); err != nil {
			return err
		}
	}
	for _, s := range r.live[r.at+1:] {
		r.free = append(r.free, s)
	}
	r.live = r.live[:r.at+1]
	if !r.anything {
		r.free = append(r.free, r.live...)
		r.live = nil
	}
	return nil
}

func (r *recovery) syncUnproven(s *source) error {
	if s.last <= r.durable {
		return nil
	}
	return r.rewrite(s, nil)
}

// erase zeroes the block at an offset, which a torn batch may have begun in, and
// the heads of all batches of this generation behind it.
func (r *recovery) erase(s *source, from int64) error {
	var heads []int64
	if from+blockSize <= s.reader.size {
		block, err := s.at(from, blockSize)
		if err != nil {
			return err
		}
		if !bytes.Equal(block, make([]byte, blockSize)) {
			heads = append(heads, from)
		}
	}
	err := s.scan(from, func(f found) bool {
		if f.generation == s.generation && f.off != from {
			heads = append(heads, f.off)
		}
		return true
	})
	if err != nil {
		return err
	}
	if len(heads) == 0 && s.last <= r.durable {
		return nil
	}
	return r.rewrite(s, heads)
}

// rewrite zeroes blocks and syncs the file.
func (r *recovery) rewrite(s *source, blocks []int64) error {
	f, err := r.j.opts.FS.OpenWrite(path.Join(r.j.opts.Dir, s.file.name))
	if err != nil {
		return fmt.Errorf("open journal file: %w", err)
	}
	for _, off := range blocks {
		if _, err = f.WriteAt(make([]byte, blockSize), off); err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cut journal file %s: %w", s, err)
	}
	return nil
}

// handOver gives the files to the journal, opened for writing.
func (r *recovery) handOver() error {
	j := r.j
	j.ready = nil
	for _, s := range slices.Concat(r.live, r.free) {
		if err := s.file.close(); err != nil {
			return fmt.Errorf("close journal file: %w", err)
		}
	}
	for _, s := range r.free {
		if err := j.openForWriting(s.file); err != nil {
			return fmt.Errorf("open journal file: %w", err)
		}
		j.ready = append(j.ready, s.file)
	}
	for _, s := range r.live {
		if err := j.openForWriting(s.file); err != nil {
			return fmt.Errorf("open journal file: %w", err)
		}
		j.files = append(j.files, s.file)
	}
	w := &j.w
	w.number, w.prev = max(1, r.number), r.prev
	w.durable = w.number - 1
	w.firstLive = r.first
	w.marked = j.recovered.Clean
	j.countLiveLocked()
	return nil
}
