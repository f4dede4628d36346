package subjects

import "slices"

// mergeFrom is the number of runs of about one size that Merge makes one of.
const mergeFrom = 4

// Merge makes one run of the newest ones where enough of about one size lie
// together, so that the number of runs grows with the logarithm of the index and
// each subject is written again as often. It reports whether it did: the caller
// then stores List with its next checkpoint. pace bounds its I/O and may end it;
// nil does not. Look-ups and WriteRun go on meanwhile.
func (s *Set) Merge(pace Pace) (bool, error) {
	s.merging.Lock()
	defer s.merging.Unlock()
	s.mu.Lock()
	cleared := s.cleared
	s.mu.Unlock()
	runs, err := s.acquire()
	if err != nil {
		return false, err
	}
	defer s.release(runs)
	from := mergeStart(runs)
	if len(runs)-from < mergeFrom {
		return false, nil
	}
	return s.mergeRuns(runs, from, cleared, pace)
}

// mergeStart is the oldest run that is at most twice as large as all behind it
// together: those behind it are worth writing again with it.
func mergeStart(runs []*run) int {
	from := len(runs)
	var behind int64
	for i, r := range slices.Backward(runs) {
		if behind == 0 || r.size() <= 2*behind {
			from = i
		}
		behind += r.size()
	}
	return from
}

// mergeRuns replaces runs[from:], which are a part of the set's, by one, unless
// the set was cleared meanwhile. Else only Merge replaces runs, and WriteRun adds
// behind them: they still lie together.
func (s *Set) mergeRuns(runs []*run, from int, cleared uint64, pace Pace) (bool, error) {
	r, err := s.writeMerged(runs[from:], from == 0, pace)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cleared != cleared {
		if r != nil {
			s.old = append(slices.Clip(s.old), r)
		}
		return false, nil
	}
	now := slices.Clone(s.runs[:from])
	if r != nil {
		now = append(now, r)
	}
	s.runs = append(now, s.runs[len(runs):]...)
	s.old = append(slices.Clip(s.old), runs[from:]...)
	return true, nil
}

// writeMerged writes one run of several. If they are the oldest, tombstones hide
// nothing and are left out; a run without entries is not written.
func (s *Set) writeMerged(runs []*run, oldest bool, pace Pace) (*run, error) {
	no, err := s.number()
	if err != nil {
		return nil, err
	}
	m := newMerged(runs, nil, true, pace)
	defer m.close()
	w, err := s.newWriter(no, pace)
	if err != nil {
		return nil, err
	}
	for m.next() {
		if oldest && m.entry().Tombstone() {
			continue
		}
		if err := w.add(m.name(), m.entry()); err != nil {
			w.abandon()
			return nil, err
		}
	}
	if m.err != nil || w.head.entries == 0 {
		w.abandon()
		return nil, m.err
	}
	r, err := w.finish()
	if err != nil {
		w.abandon()
	}
	return r, err
}
