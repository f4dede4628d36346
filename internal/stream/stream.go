package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/subject"
)

// Errors that doors translate.
var (
	ErrNotFound      = errors.New("not found")
	ErrExists        = errors.New("exists already")
	ErrOverlap       = errors.New("subjects overlap with an existing stream")
	ErrMaxStreams    = errors.New("maximum number of streams reached")
	ErrMaxBytes      = errors.New("streams were promised all bytes there are")
	ErrMaxConsumers  = errors.New("maximum number of consumers reached")
	ErrDeletePending = errors.New("is being deleted")
)

// Stream is a named log of an account.
type Stream struct {
	// Set at construction.
	spec     meta.Spec
	dir      *Directory
	part     *partition.Partition
	dialect  Dialect
	shard    *Shard
	space    *broker.Space
	ledger   *ledger
	updating chan struct{} // holds a token while the configuration is changed
	// interested says whether anyone listens on an inbox.
	interested func(reply string) bool

	// Atomic.
	closed  atomic.Bool // it captures nothing any more
	dropped atomic.Bool // it is deleted
	noAck   atomic.Bool
	ackFar  atomic.Bool   // Config.AckLinks
	largest atomic.Int64  // Limits.MaxRecord
	woken   atomic.Bool   // a wake-up is in the shard's box
	idle    atomic.Bool   // no consumer and no timer wants to know of new records
	ageAt   atomic.Int64  // when the shard looks for what is too old; 0: it does not
	marks   atomic.Uint64 // the partition's Marks when the shard last looked for schedules
	config  atomic.Pointer[Config]
	native  atomic.Pointer[any]
	// mapping and republish are those of the configuration; nil: none.
	mapping, republish atomic.Pointer[subject.Transform]
	// copies are the copiers of its origins, followers those that copy it; nil: none.
	copies    atomic.Pointer[[]*copier]
	followers atomic.Pointer[[]*copier]
	promoting atomic.Bool  // it ceases to be a mirror: nothing is copied
	inFlight  atomic.Int64 // bytes handed to the log and not yet back
	shared    atomic.Int64 // size of the next area that publishers share
	delivers  atomic.Int64 // consumers
	tail      tail

	claims []string // what it captures alone; guarded by the directory's lock

	mu sync.Mutex
	// Guarded by mu.
	subs      []*broker.Subscription
	consumers map[string]*Consumer
	creating  map[string]chan struct{} // consumers on their way; closed when done
	nextID    uint64
	gathered  map[string]*gathering // whole batches that are not complete; nil: none
	flows     map[string]*flow      // fast batches; nil: none
}

// ID is the stream's identity.
func (s *Stream) ID() record.Identity { return s.spec.Identity() }

// Account is the name of the account that the stream belongs to.
func (s *Stream) Account() string { return s.spec.Account }

// Name is the stream's name, unique in its account.
func (s *Stream) Name() string { return s.spec.Name }

// Created is when it was created, Unix ns.
func (s *Stream) Created() int64 { return s.spec.Created }

// Config is the configuration in force. It must not be changed.
func (s *Stream) Config() *Config { return s.config.Load() }

// Native is the dialect's decoded Doc.
func (s *Stream) Native() any { return *s.native.Load() }

// Partition is the stream's log, for reading.
func (s *Stream) Partition() *partition.Partition { return s.part }

// setConfig puts a configuration in force.
func (s *Stream) setConfig(c *Config) error {
	n, err := s.dialect.Open(c.Doc)
	if err != nil {
		return fmt.Errorf("configuration of stream %q: %w", s.spec.Name, err)
	}
	if err := s.setMappings(c); err != nil {
		return err
	}
	s.native.Store(&n)
	s.config.Store(c)
	s.noAck.Store(c.NoAck)
	s.ackFar.Store(c.AckLinks)
	s.largest.Store(c.Limits.MaxRecord)
	return nil
}

// attach subscribes the stream at its subjects, in place of those before. What stays
// is not subscribed anew: meanwhile messages would be taken twice, or not at all.
func (s *Stream) attach() {
	c := s.config.Load()
	var subjects []string
	if !c.Gate.Paused {
		subjects = c.captures()
	}
	s.mu.Lock()
	old := slices.Clone(s.subs)
	subs, added := make([]*broker.Subscription, 0, len(subjects)), []*broker.Subscription(nil)
	for _, subj := range subjects {
		i := slices.IndexFunc(old, func(o *broker.Subscription) bool { return o.Subject == subj && o.Queue == c.Queue })
		if i >= 0 {
			subs, old = append(subs, old[i]), slices.Delete(old, i, i+1)
			continue
		}
		sub := &broker.Subscription{Subject: subj, Queue: c.Queue, Sink: s.sink(), Kind: broker.KindStream}
		subs, added = append(subs, sub), append(added, sub)
	}
	s.subs = subs
	s.mu.Unlock()
	for _, sub := range added {
		s.space.Subscribe(sub)
	}
	for _, sub := range old {
		s.space.Unsubscribe(sub)
	}
	if s.closed.Load() {
		s.detach()
	}
	s.follow()
}

func (s *Stream) detach() {
	s.mu.Lock()
	old := s.subs
	s.subs = nil
	s.mu.Unlock()
	for _, sub := range old {
		s.space.Unsubscribe(sub)
	}
}

// Update changes the configuration. It returns when the change is durable.
func (s *Stream) Update(ctx context.Context, c Config) error {
	if err := s.holdUpdates(ctx); err != nil {
		return err
	}
	defer s.releaseUpdates()
	if a, ok := s.dialect.(Capturer); ok {
		if err := a.Adapt(s.Config(), &c); err != nil {
			return err
		}
	}
	return s.update(ctx, c)
}

// update is Update while no other one is under way.
func (s *Stream) update(ctx context.Context, c Config) error {
	if err := s.dir.reserveSubjects(s.spec.Account, s, c.captures()); err != nil {
		return err
	}
	defer s.dir.releaseSubjects(s)
	if err := s.dir.reserveOrigins(s, &c); err != nil {
		return err
	}
	defer s.dir.releaseOrigins(s)
	if _, err := s.dialect.Open(c.Doc); err != nil {
		return err
	}
	if c.Retention != RetainByLimits && s.hasLocal() {
		return ErrLocalConsumers
	}
	doc := encodeConfig(&c)
	if c.Memory {
		if err := s.dir.o.Catalog.Reconfigure(ctx, s.spec.ID, doc); err != nil {
			return fmt.Errorf("keep the configuration of stream %q: %w", s.spec.Name, err)
		}
	}
	if s.Config().Mirror != nil && c.Mirror == nil {
		s.promoting.Store(true)
		defer s.promoted()
		if err := s.haltCopies(ctx); err != nil {
			return err
		}
	}
	w := newWaiter()
	if err := s.part.ProposeLimits(c.Limits, doc, w); err != nil {
		return err
	}
	return w.wait(ctx)
}

func (s *Stream) compress() {
	if f := s.dir.o.Compress; f != nil {
		f(s.ID(), s.config.Load().Compression)
	}
}

// configured makes a configuration that has just been applied take effect.
func (s *Stream) configured() {
	s.compress()
	s.dir.mu.Lock()
	serving := s.dir.serving
	if s.dir.accounts[s.spec.Account][s.spec.Name] == s {
		s.dir.claimLocked(s)
	}
	s.dir.mu.Unlock()
	if !serving || s.closed.Load() {
		return // Serve does it
	}
	s.attach()
	s.tail.wake()
	s.endBatches(s.config.Load())
	s.shard.post(event{kind: evConfig, stream: s})
}

// Delete removes one record for good. It returns when that is durable.
func (s *Stream) Delete(ctx context.Context, seq uint64) error {
	if !s.part.Live(seq) {
		return ErrNotFound
	}
	var set seqset.Set
	set.Add(seq)
	w := newWaiter()
	if err := s.part.ProposeRemoval(&partition.Removal{Set: set}, w.fail); err != nil {
		return err
	}
	return w.wait(ctx)
}

// Purge describes what to remove: records of Subject (empty: all), below Below
// (0: all), but for the newest Keep of them.
type Purge struct {
	Subject string
	Below   uint64
	Keep    uint64
}

// Purge removes records and returns how many. It returns when that is durable.
func (s *Stream) Purge(ctx context.Context, p Purge) (uint64, error) {
	// A log that has failed may still be read, but nothing can be taken out of it.
	if err := s.part.Err(); err != nil {
		return 0, err
	}
	w := newWaiter()
	var n uint64
	var err error
	switch {
	case p.Subject != "" && p.Subject != ">":
		n, err = s.purgeSubject(p, w)
	case p.Keep > 0:
		n, err = s.purgeKeep(p.Keep, w)
	case p.Below > 0:
		n, err = s.part.Trim(p.Below, w.fail)
	default:
		n, err = s.part.TrimAll(w.fail)
	}
	if err != nil {
		return 0, err
	}
	return n, w.wait(ctx)
}

// purgeKeep trims to the newest records.
func (s *Stream) purgeKeep(keep uint64, w *waiter) (uint64, error) {
	st := s.part.Status()
	if st.Records <= keep {
		w.finish()
		return 0, nil
	}
	// The lowest sequence with at most keep live records from it on.
	lo, hi := st.First, st.Last+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		if s.part.CountLive(mid, st.Last) > keep {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return s.part.Trim(lo, w.fail)
}

// purgeSubject removes the records that a pattern matches, one by one.
func (s *Stream) purgeSubject(p Purge, w *waiter) (uint64, error) {
	seqs, err := s.part.SequencesOf(p.Subject, p.Below)
	if err != nil {
		return 0, fmt.Errorf("find what to purge: %w", err)
	}
	if uint64(len(seqs)) <= p.Keep {
		w.finish()
		return 0, nil
	}
	seqs = seqs[:uint64(len(seqs))-p.Keep]
	var set seqset.Set
	for _, seq := range seqs {
		set.Add(seq)
	}
	return uint64(len(seqs)), s.part.ProposeRemoval(&partition.Removal{Set: set}, w.fail)
}

// Consumer returns a consumer by name, nil if there is none.
func (s *Stream) Consumer(name string) *Consumer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.consumers[name]
}

// Consumers returns the consumers by name.
func (s *Stream) Consumers() []*Consumer {
	s.mu.Lock()
	out := make([]*Consumer, 0, len(s.consumers))
	for _, c := range s.consumers {
		out = append(out, c)
	}
	s.mu.Unlock()
	slices.SortFunc(out, func(a, b *Consumer) int { return strings.Compare(a.Name(), b.Name()) })
	return out
}

// ConsumerCount is len(Consumers()), at a cost that does not grow with it.
func (s *Stream) ConsumerCount() int { return int(s.delivers.Load()) }

// Committed and the methods after it make the stream the partition's Observer.
func (s *Stream) Committed(b *partition.Batch, local bool) {
	st := b.Owner.(*staged)
	if b.Early == nil {
		s.land(st.size)
	}
	if st.done != nil {
		st.done(b.Outcomes)
	}
	if local || s.config.Load().Memory || st.late && s.delivers.Load() > 0 {
		s.shard.post(event{kind: evAnswer, staged: st})
		return
	}
	s.dir.journalAnswer(st)
}

// Settled hands over the replies that the journal's goroutine wrote for what became
// durable together.
func (s *Stream) Settled() {
	if !s.config.Load().Memory {
		s.dir.journalPublisher(s.space).HandOver()
	}
}

// Discarded drops the replies of a batch whose outcome is unknown.
func (s *Stream) Discarded(b *partition.Batch) {
	st := b.Owner.(*staged)
	s.land(st.size)
	st.lose()
	st.free()
}

// Applied wakes the shard where somebody there waits for records.
func (s *Stream) Applied(_ uint64, _ bool) {
	s.wake()
	s.tellFollowers()
	s.tail.wake()
}

func (s *Stream) wake() {
	if s.idle.Load() && !s.expiresSooner() && s.marks.Load() == s.part.Marks() || s.woken.Swap(true) {
		return
	}
	s.shard.post(event{kind: evWake, stream: s})
}

// expiresSooner says that a time to live ends before the shard looks again.
func (s *Stream) expiresSooner() bool {
	next, at := s.part.NextExpiry(), s.ageAt.Load()
	return next != 0 && (at == 0 || next < at)
}

// Removed tells the shard of a record that went, for counts and pending sets.
func (s *Stream) Removed(seq uint64, subject []byte, n uint64) {
	s.shard.post(event{kind: evRemoved, stream: s, seq: seq, subject: slices.Clone(subject), removal: n})
}

// waiter is somebody who waits for an entry to take effect.
type waiter struct{ done chan error }

func newWaiter() *waiter { return &waiter{done: make(chan error, 1)} }

func (w *waiter) finish() { w.fail(nil) }

func (w *waiter) fail(err error) {
	select {
	case w.done <- err:
	default:
	}
}

// Lost makes the waiter a partition.Waiting.
func (w *waiter) Lost(err error) { w.fail(err) }

func (w *waiter) wait(ctx context.Context) error {
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the log: %w", ctx.Err())
	}
}
