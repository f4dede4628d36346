package journal

import "errors"

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
	d.Length = s.reader.size - r.off
	if at == r.at {
		d.Length = next.off - r.off
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
// notes the rest as lost. A batch that is good itself is bad for its extents.
func (r *recovery) salvage(s *source, d *DamageError) error {
	b, bad, err := s.batch(r.off)
	if err != nil || bad != nil && !errors.Is(bad, errChecksum) || b.directory == nil || !r.follows(s, b.header) {
		return err
	}
	return b.visit(func(rec record, data []byte, ok bool) error {
		if ok {
			err := r.deliver(s, rec, data)
			if !errors.Is(err, ErrTorn) {
				return err
			}
		}
		d.Lost = append(d.Lost, Entry{Group: rec.group, Term: rec.term, Index: rec.index, Kind: uint8(rec.kind)})
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
