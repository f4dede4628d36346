package partition

import "github.com/weirmq/weir/internal/record"

// tally is what the records of a frame sum up to. It is made while a batch is decided
// over, when its records are at hand: when the frame is applied each of them would have
// to be fetched from memory again.
type tally struct {
	records int
	bytes   uint64
	id      record.ID // of the last record
	hasID   bool
	rollups bool // some record replaces others
	attrs   bool // some record has attributes
	lives   bool // some record has a life of its own, or is marked
	mixed   bool // there are two subjects or more

	subject []byte // of the first record, borrowed
}

func (t *tally) add(v *record.View) {
	if t.records == 0 {
		t.subject = v.Subject
	}
	t.records++
	t.bytes += v.Size()
	t.id, t.hasID = v.ID, v.HasID
	t.rollups = t.rollups || v.Rollup != record.RollupNone
	t.attrs = t.attrs || len(v.Attrs) > 0
	t.lives = t.lives || v.Marked || v.TTL != 0
	t.mixed = t.mixed || string(v.Subject) != string(t.subject)
}

// of says whether the tally is of all that counts in a frame: records with a life of
// their own are entered one by one.
func (t *tally) of(f *record.Frame) bool {
	return t.records == int(f.Count) && t.records > 0 && !t.lives
}

// countLocked sums up a frame that this process sealed or verified, unless fl has the
// sum, and enters what its records live for.
func (p *Partition) countLocked(f *record.Frame, fl *Flight) (sum tally) {
	whole := true
	if fl != nil && fl.sum.of(f) {
		sum = fl.sum
	} else {
		for i := range int(f.Count) {
			v, err := f.Record(i)
			if err != nil {
				whole = false
				continue // damaged in the journal's replay: reading it says so
			}
			sum.add(&v)
			p.expiry.add(&v)
		}
	}
	if sum.records > 0 {
		p.hasDone, p.doneID = sum.hasID, sum.id
	}
	if whole && !sum.mixed {
		f.MarkAlike()
	}
	sum.subject = nil
	return sum
}
