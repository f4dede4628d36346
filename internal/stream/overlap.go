package stream

import "github.com/weirmq/weir/internal/subject"

// reserveSubjects claims subjects for a stream that is being made or changed, so
// that no two streams of an account capture the same message, but for shared ones.
func (d *Directory) reserveSubjects(account string, s *Stream, subjects []string) error {
	if s.Config().Capture == CaptureShared {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.freeLocked(account, s, subjects) {
		return ErrOverlap
	}
	for o, taken := range d.reserved {
		if o != s && o.spec.Account == account && overlap(taken, subjects) {
			return ErrOverlap
		}
	}
	d.reserved[s] = subjects
	return nil
}

func (d *Directory) releaseSubjects(s *Stream) {
	d.mu.Lock()
	delete(d.reserved, s)
	d.mu.Unlock()
}

func overlap(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if subject.Overlap(x, y) {
				return true
			}
		}
	}
	return false
}
