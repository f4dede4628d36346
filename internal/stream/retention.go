package stream

import (
	"errors"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// Retention says what ends the life of a record, beside the limits and whoever
// removes it.
type Retention uint8

// Retentions. Where consumers decide, what goes follows from the entries of the
// log, alike on every replay: there is no entry for it.
const (
	// RetainByLimits: nothing else.
	RetainByLimits Retention = iota
	// RetainByInterest: it goes when no consumer needs it, so at once if there is none
	// whose filter it matches. A consumer needs what it has not passed yet, and what
	// it delivered until that is acknowledged.
	RetainByInterest
	// RetainWork: it goes when it is acknowledged. Each belongs to one consumer at the
	// most.
	RetainWork
)

// Errors of consumers of a work queue, and of a change of what is retained.
var (
	ErrUnfilteredWork = errors.New("a work queue has another consumer beside one for all subjects")
	ErrSharedWork     = errors.New("a work queue has another consumer for some of these subjects")
	ErrLocalConsumers = errors.New("the stream has consumers that are kept out of the log")
)

// releaser is what a ledger needs of the log to remove records.
type releaser interface {
	Release(seq uint64, unwanted func(*record.View) bool)
	ReleaseRange(from, to uint64, unwanted func(*record.View) bool)
	ReleaseAll()
	Released()
	Committed() uint64
}

// decides says whether consumers decide what is kept.
func (c *Config) decides() bool { return c.Retention != RetainByLimits && !c.Restoring }

// Selective makes the ledger a partition.Keeper.
func (l *ledger) Selective() bool {
	c := l.stream.config.Load()
	return c.Retention == RetainByInterest && !c.Restoring
}

// Keeps says whether a consumer needs the record.
func (l *ledger) Keeps(v *record.View) bool {
	for _, a := range l.by {
		if a.needs(v) {
			return true
		}
	}
	return false
}

func (l *ledger) unneeded(v *record.View) bool { return !l.Keeps(v) }

func (a *applied) needs(v *record.View) bool {
	if v.Seq < a.replica.Position() {
		return a.replica.Holds(v.Seq)
	}
	return a.wants(v.Subject)
}

// wants says whether the consumer's filter matches.
func (a *applied) wants(name []byte) bool {
	f := a.spec.Config.Filter
	return len(f) == 0 || slices.ContainsFunc(f, func(p string) bool { return subject.Match(p, string(name)) })
}

// bound says, without a look at the record, that a consumer needs it.
func (l *ledger) bound(seq uint64) bool {
	for _, a := range l.by {
		if seq < a.replica.Position() && a.replica.Holds(seq) || seq >= a.replica.Position() && len(a.spec.Config.Filter) == 0 {
			return true
		}
	}
	return false
}

// progressed makes a change of a consumer take effect and removes what that leaves
// to nobody.
func (l *ledger) progressed(a *applied, change []byte) error {
	c := l.stream.config.Load()
	if !c.decides() {
		return a.replica.Apply(change, func(uint64) {})
	}
	before, resets := a.replica.Position(), a.replica.Resets()
	done := l.done[:0]
	if err := a.replica.Apply(change, func(seq uint64) { done = append(done, seq) }); err != nil {
		return err
	}
	l.done = done[:0]
	log := l.log
	for _, seq := range done {
		switch {
		case c.Retention == RetainWork:
			log.Release(seq, func(*record.View) bool { return true })
		case !l.bound(seq):
			log.Release(seq, l.unneeded)
		}
	}
	passed := c.Retention == RetainByInterest && before <= a.spec.Unsure && before < a.replica.Position()
	if passed {
		log.ReleaseRange(before, min(a.replica.Position()-1, a.spec.Unsure), l.unneeded)
	}
	reset := c.Retention == RetainByInterest && a.replica.Resets() != resets
	if reset {
		log.ReleaseRange(0, a.replica.Position()-1, l.unneeded)
	}
	if len(done) > 0 || passed || reset {
		log.Released()
	}
	return nil
}

// dropped removes what only a consumer needed that is gone.
func (l *ledger) dropped(a *applied) {
	if !l.Selective() {
		return
	}
	log := l.log
	if len(l.by) == 0 {
		log.ReleaseAll()
	} else {
		for _, seq := range a.replica.Held() {
			log.Release(seq, l.unneeded)
		}
		log.ReleaseRange(a.replica.Position(), log.Committed(), l.unneeded)
	}
	log.Released()
}

// refiltered follows a change of a consumer's filter: what it does not want any more
// may be needed by nobody, and it may have passed what it wants now.
func (l *ledger) refiltered(a *applied, was []string) {
	if slices.Equal(was, a.spec.Config.Filter) || !l.Selective() {
		return
	}
	log := l.log
	a.spec.Unsure = max(a.spec.Unsure, log.Committed())
	log.ReleaseRange(a.replica.Position(), log.Committed(), l.unneeded)
	log.Released()
}

// retained follows a change of the configuration. Without a consumer there is
// nothing that anyone is done with.
func (l *ledger) retained(was *Config) {
	if !l.Selective() || was.Retention == RetainByInterest && !was.Restoring || len(l.by) == 0 {
		return
	}
	log := l.log
	log.ReleaseRange(0, log.Committed(), l.unneeded)
	log.Released()
}

// admits says whether a work queue may have a consumer beside those it has.
func (l *ledger) admits(spec *consumerSpec) error {
	if l.stream.config.Load().Retention != RetainWork {
		return nil
	}
	filter := spec.Config.Filter
	for id, a := range l.by {
		switch {
		case id == spec.ID:
		case len(filter) == 0:
			return ErrUnfilteredWork
		case len(a.spec.Config.Filter) == 0 || overlap(a.spec.Config.Filter, filter):
			return ErrSharedWork
		}
	}
	return nil
}

// hasLocal says whether there are consumers that the log does not know.
func (s *Stream) hasLocal() bool {
	return slices.ContainsFunc(s.Consumers(), func(c *Consumer) bool { return c.Config().Local })
}
