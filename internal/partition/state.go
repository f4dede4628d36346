package partition

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// State of a partition in its checkpoint, little endian:
//
//	0   1   version (4)
//	1   8   index of the last applied entry
//	9   8   first sequence
//	17  8   last sequence
//	25  8   time of the last record, Unix ns
//	33  8   live records
//	41  8   live bytes
//	49  1   1 if the id of the last record follows
//	50  16  id of the last record
//	66  4   length of the limits, then they as JSON
//	..  4   length of the deletes, then the set
//	..  4   count of ids in the dedup window, then each: id (16), sequence (8),
//	        time (8)
//	..  4   length of the times to live, then they, see expiry.append; from
//	        version 3 on
//	..  8   sequence up to which a compaction has looked at the log; from version 4 on
//	..  4   length of the subjects, then they, see subjectsLost; not in version 1
//	..      the ledger's snapshot, to the end
const (
	stateVersion = 4
	stateFixed   = 66
)

// Checkpoint makes all that is applied durable in the store and lets the group
// recycle the entries. It may run beside everything else, and waits for another. A
// log that is being deleted needs none.
func (p *Partition) Checkpoint() error {
	p.saving.Lock()
	defer p.saving.Unlock()
	p.mu.RLock()
	dead, deleted := p.dead, p.deletedLog
	p.mu.RUnlock()
	if deleted {
		return nil
	}
	if dead != nil {
		return dead
	}
	p.remade.Store(false)
	s := p.snapshot()
	defer p.tellHeld()
	defer p.retrim()
	list := p.saveSubjects(&s.subjects)
	state := append(appendBlock(s.head, s.subjects.block), s.ledger...)
	err := p.store.Checkpoint(state)
	if err != nil || p.index != nil && len(s.subjects.block) > 0 && s.subjects.block[0] == subjectsLost {
		p.remade.Store(true)
	}
	if err != nil {
		return fmt.Errorf("checkpoint partition %d: %w", p.id.ID, err)
	}
	p.saved.Store(s.index)
	p.proposer.Release(s.index)
	if list != nil {
		p.index.Saved(list)
	}
	return nil
}

// neverSaved is the index of the last checkpoint where there is none: also of a log that
// is empty one is to be taken, so that its files are there and nobody takes it for lost.
const neverSaved = math.MaxUint64

// Clean says that there is a checkpoint, that nothing has taken effect since the last one,
// and that its subject index is good: after a restart there is nothing to replay or to make
// again. What was trimmed since may still take space.
func (p *Partition) Clean() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.saved.Load() == p.applied && !p.remade.Load()
}

// snapshot is the applied state, around that of the subjects.
type snapshot struct {
	index        uint64
	head, ledger []byte
	subjects     savedSubjects
}

// snapshot encodes the applied state and freezes the subjects. The group's
// goroutine must not apply in the meantime: applying holds p.applying.
func (p *Partition) snapshot() *snapshot {
	p.applying.Lock()
	defer p.applying.Unlock()
	p.untrimmed = true
	p.mu.Lock()
	s := &snapshot{index: p.applied, subjects: p.freezeLocked()}
	p.packer.Forget() // the log may be quiet from now on
	p.mu.Unlock()
	p.mu.RLock()
	defer p.mu.RUnlock()
	b := append(make([]byte, 0, 256), stateVersion)
	b = binary.LittleEndian.AppendUint64(b, p.applied)
	b = binary.LittleEndian.AppendUint64(b, p.done.first)
	b = binary.LittleEndian.AppendUint64(b, p.done.last)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.done.lastTime))
	b = binary.LittleEndian.AppendUint64(b, p.done.records)
	b = binary.LittleEndian.AppendUint64(b, p.done.bytes)
	b = append(append(b, 0), p.doneID[:]...)
	if p.hasDone {
		b[len(b)-1-len(p.doneID)] = 1
	}
	b = appendBlock(b, encodeLimits(&p.limits))
	b = appendBlock(b, p.deleted.Append(nil))
	s.head = appendBlock(p.appendDedupLocked(b), p.expiry.append(nil))
	s.head = binary.LittleEndian.AppendUint64(s.head, p.compacted)
	s.ledger = p.ledger.Snapshot(nil)
	return s
}

// retrim makes up for what was not trimmed while a checkpoint was taken.
func (p *Partition) retrim() {
	p.applying.Lock()
	defer p.applying.Unlock()
	p.untrimmed = false
	p.trim()
}

func (p *Partition) appendDedupLocked(b []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	n := 0
	for _, e := range p.dedup.order[p.dedup.head:] {
		if e.seq > p.done.last {
			break
		}
		b = append(b, e.id[:]...)
		b = binary.LittleEndian.AppendUint64(b, e.seq)
		b = binary.LittleEndian.AppendUint64(b, uint64(e.time))
		n++
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(n))
	return b
}

func appendBlock(b, block []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(block)))
	return append(b, block...)
}

func takeBlock(b []byte) (block, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("block length: %w", record.ErrDamaged)
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, fmt.Errorf("block of %d bytes in %d: %w", n, len(b)-4, record.ErrDamaged)
	}
	return b[4 : 4+n], b[4+n:], nil
}

// savedState is a decoded checkpoint.
type savedState struct {
	index     uint64
	done      position
	hasLast   bool
	lastID    record.ID
	limits    Limits
	deleted   seqset.Set
	dedup     []dedupEntry
	expiry    expiry
	compacted uint64
	// subjects is empty where there is no index.
	subjects []byte
	ledger   []byte
}

// decodeState reads what snapshot wrote. It is total.
func decodeState(b []byte) (*savedState, error) {
	if len(b) < stateFixed || b[0] == 0 || b[0] > stateVersion {
		return nil, fmt.Errorf("state of %d bytes: %w", len(b), record.ErrDamaged)
	}
	u := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	s := &savedState{
		index:   u(1),
		done:    position{first: u(9), last: u(17), lastTime: int64(u(25)), records: u(33), bytes: u(41)},
		hasLast: b[49] == 1,
	}
	if s.done.first == 0 || s.done.first > s.done.last+1 {
		return nil, fmt.Errorf("state of sequences %d to %d: %w", s.done.first, s.done.last, record.ErrDamaged)
	}
	copy(s.lastID[:], b[50:])
	limits, rest, err := takeBlock(b[stateFixed:])
	if err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	if s.limits, err = decodeLimits(limits); err != nil {
		return nil, err
	}
	set, rest, err := takeBlock(rest)
	if err != nil {
		return nil, fmt.Errorf("deletes: %w", err)
	}
	if s.deleted, _, err = seqset.Decode(set); err != nil {
		return nil, fmt.Errorf("deletes: %w", err)
	}
	s.dedup, s.ledger, err = decodeDedup(rest)
	if err == nil && b[0] > 2 {
		var block []byte
		if block, s.ledger, err = takeBlock(s.ledger); err == nil {
			s.expiry, err = decodeExpiry(block)
		}
	}
	if err == nil && b[0] > 3 {
		if len(s.ledger) < 8 {
			return nil, fmt.Errorf("state that ends before its compaction: %w", record.ErrDamaged)
		}
		s.compacted, s.ledger = binary.LittleEndian.Uint64(s.ledger), s.ledger[8:]
	}
	if err == nil && b[0] > 1 {
		s.subjects, s.ledger, err = takeBlock(s.ledger)
	}
	return s, err
}

func decodeDedup(b []byte) ([]dedupEntry, []byte, error) {
	const size = 32
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("dedup window: %w", record.ErrDamaged)
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n*size > uint64(len(b)) {
		return nil, nil, fmt.Errorf("dedup window of %d ids: %w", n, record.ErrDamaged)
	}
	out := make([]dedupEntry, n)
	for i := range out {
		e := b[i*size:]
		copy(out[i].id[:], e)
		out[i].seq = binary.LittleEndian.Uint64(e[16:])
		out[i].time = int64(binary.LittleEndian.Uint64(e[24:]))
	}
	return out, b[n*size:], nil
}

// restoreState puts a checkpoint in force.
func (p *Partition) restoreState(b []byte) error {
	s, err := decodeState(b)
	if err != nil {
		return fmt.Errorf("open partition %d: %w", p.id.ID, err)
	}
	p.applied, p.restore = s.index, s.index
	p.saved.Store(s.index)
	p.done, p.limits, p.deleted, p.expiry = s.done, s.limits, s.deleted, s.expiry
	p.hasLast, p.lastID, p.compacted = s.hasLast, s.lastID, s.compacted
	p.hasDone, p.doneID = s.hasLast, s.lastID
	for _, e := range s.dedup {
		p.dedup.add(e.id, e.seq, e.time)
	}
	if err := p.ledger.Restore(s.ledger); err != nil {
		return fmt.Errorf("open partition %d: restore consumers: %w", p.id.ID, err)
	}
	if err := p.restoreSubjects(s.subjects); err != nil {
		return fmt.Errorf("open partition %d: %w", p.id.ID, err)
	}
	return nil
}

// ProposeLimits puts new limits into the log's order. doc and value go to the
// Ledger with the entry.
func (p *Partition) ProposeLimits(l Limits, doc []byte, value any) error {
	return p.Propose(record.KindConfig, true, value, AppendConfig(nil, &l, doc))
}

// AppendConfig encodes a change of configuration: the limits as a block, then the
// owner's document.
func AppendConfig(dst []byte, l *Limits, doc []byte) []byte {
	return append(appendBlock(dst, encodeLimits(l)), doc...)
}

// ConfigDoc returns the owner's document of a KindConfig entry.
func ConfigDoc(b []byte) ([]byte, error) {
	_, doc, err := takeBlock(b)
	return doc, err
}

func encodeLimits(l *Limits) []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic("partition: limits do not encode: " + err.Error())
	}
	return b
}

func decodeLimits(b []byte) (Limits, error) {
	var l Limits
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("limits: %w: %w", record.ErrDamaged, err)
	}
	return l, nil
}
