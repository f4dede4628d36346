package journal

import (
	"cmp"
	"maps"
	"slices"
)

// Pressure says how much the journal must keep and for whom.
type Pressure struct {
	Unreleased int64     // bytes in files that are still needed, and in extents that they name
	Max        int64     // Options.MaxBytes
	Files      int       // files that are still needed
	Oldest     []GroupID // who holds the oldest of them back, ascending
	NoSpace    error     // why no further file could be made, or nil; while the disk is full it is tried again
}

// fewHolders is of how many groups a checkpoint is no more than a file of the journal is
// worth.
const fewHolders = 16

// Cheap says that the oldest file is held back by few groups: checkpoints of them cost
// little beside what a start would have to replay.
func (p *Pressure) Cheap() bool { return p.Files > 1 && len(p.Oldest) <= fewHolders }

// Pressure tells the present state. Groups that release what they have in the
// oldest file let it be recycled. The file being written is needed always.
func (j *Journal) Pressure() Pressure {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := Pressure{Unreleased: j.Metrics.LiveBytes.Load() + j.namedLocked(), Max: j.opts.MaxBytes, Files: len(j.files), NoSpace: j.noSpace}
	if len(j.files) > 0 {
		p.Oldest = sortedIDs(j.files[0].held)
	}
	return p
}

func sortedIDs[V any](m map[GroupID]V) []GroupID {
	return slices.SortedFunc(maps.Keys(m), cmp.Compare[GroupID])
}
