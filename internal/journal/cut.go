package journal

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
)

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
	r.free = append(r.free, r.live[r.at+1:]...)
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
	// What said that a file is not needed may have been cut: then it waits for a
	// durable batch that says so again.
	waiting := slices.IndexFunc(r.passed, func(s *source) bool { return s.generation >= r.proven })
	if waiting < 0 {
		waiting = len(r.passed)
	}
	r.free = append(r.free, r.passed[:waiting]...)
	r.passed = r.passed[waiting:]
	for _, s := range slices.Concat(r.live, r.free, r.passed) {
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
	for _, s := range r.passed {
		if err := j.openForWriting(s.file); err != nil {
			return fmt.Errorf("open journal file: %w", err)
		}
		j.retired = append(j.retired, s.file)
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
