package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs"
)

// quarantineFile lists what a repair could not bring back: sealed JSON.
const quarantineFile = "quarantine"

const quarantineVersion = 1

// quarantine is what repairs of a directory could not bring back.
type quarantine struct {
	Version int      `json:"version"`
	Entries []locked `json:"entries"`
}

// locked is one such place. A Lost one is in no file any more; any other is still
// where it was, and its sequences are answered with an error.
type locked struct {
	Damage
	Lost bool      `json:"lost,omitempty"`
	At   time.Time `json:"at"` // of the repair
}

func (q *quarantine) encode() []byte {
	b, err := json.Marshal(q)
	if err != nil {
		panic("check: a list does not encode: " + err.Error())
	}
	return server.Seal(b)
}

// decodeQuarantine reads what encode wrote. It is total.
func decodeQuarantine(b []byte) (*quarantine, error) {
	content, err := server.Unseal(b)
	if err != nil {
		return nil, err
	}
	q := new(quarantine)
	if err := json.Unmarshal(content, q); err != nil {
		return nil, fmt.Errorf("list of the quarantine: %w: %w", record.ErrDamaged, err)
	}
	if q.Version != quarantineVersion {
		return nil, fmt.Errorf("list of the quarantine has version %d; this program knows %d", q.Version, quarantineVersion)
	}
	return q, nil
}

// lookQuarantine reads the list.
func (l *looker) lookQuarantine(*seglog.Volume) error {
	l.quarantine = &quarantine{Version: quarantineVersion}
	b, err := vfs.ReadFile(l.disk, l.path(quarantineFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	q, err := decodeQuarantine(b)
	switch {
	case err == nil:
		l.quarantine = q
	case errors.Is(err, record.ErrDamaged):
		l.damage(Damage{Kind: KindQuarantine, File: quarantineFile, Length: int64(len(b)), Cost: CostNothing, Detail: err.Error()})
	default:
		l.report.skipped(quarantineFile, err)
	}
	return nil
}

// mark marks the damage that is in the list, and notes what was lost before.
func (q *quarantine) mark(r *Report) {
	for i := range r.Damage {
		d := &r.Damage[i]
		d.Quarantined = q.holds(d)
	}
	for i := range q.Entries {
		if e := &q.Entries[i]; e.Lost {
			r.note("lost since the repair of %s: %s, %s: %s", e.At.UTC().Format(time.DateTime), e.Where(), e.Sequences(), e.Detail)
		}
	}
}

// holds says whether all that a damaged place costs is in the list, or, where it
// costs nothing, the place. The place of lost sequences may look another way later:
// a file that was short grows over it.
func (q *quarantine) holds(d *Damage) bool {
	next := d.First
	for {
		i := slices.IndexFunc(q.Entries, func(e locked) bool {
			same := !e.Lost && e.File == d.File && e.ID == d.ID
			if d.Last == 0 {
				return same && e.Offset == d.Offset
			}
			return same && e.First <= next && next <= e.Last
		})
		if i < 0 {
			return false
		}
		last := q.Entries[i].Last
		if last >= d.Last {
			return true
		}
		next = last + 1
	}
}

// add lists a place, once.
func (q *quarantine) add(e locked) {
	for i := range q.Entries {
		if o := &q.Entries[i]; o.Lost == e.Lost && o.File == e.File && o.Offset == e.Offset && o.ID == e.ID && o.First == e.First && o.Last == e.Last {
			return
		}
	}
	q.Entries = append(q.Entries, e)
}
