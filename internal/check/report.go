package check

import (
	"cmp"
	"fmt"
	"slices"
)

// Kinds of files that can be damaged.
const (
	KindIdentity   = "identity"
	KindCatalog    = "catalog"
	KindJournal    = "journal"
	KindManifest   = "manifest"
	KindSegment    = "segment"
	KindSubjects   = "subjects"
	KindQuarantine = "quarantine"
	KindKeys       = "keys"
)

// Costs of damage.
const (
	CostNothing = "nothing" // it is made again, or never counted
	CostRecords = "records" // those sequences cannot be read
	CostStream  = "stream"  // the stream cannot be opened
	CostServer  = "server"  // the server does not start
)

// Damage is one damaged place.
type Damage struct {
	Kind   string `json:"kind"`
	File   string `json:"file"` // relative to the directory
	Offset int64  `json:"offset"`
	Length int64  `json:"length"` // 0: not known, or bytes that are missing

	ID      uint64 `json:"stream_id,omitempty"`
	Account string `json:"account,omitempty"`
	Stream  string `json:"stream,omitempty"`
	First   uint64 `json:"first,omitempty"` // sequences that it costs; both 0: none
	Last    uint64 `json:"last,omitempty"`

	Cost        string `json:"cost"`
	Detail      string `json:"detail"`
	Quarantined bool   `json:"quarantined,omitempty"`
}

// Where says whose the place is, for people.
func (d *Damage) Where() string {
	switch {
	case d.Stream == "" && d.ID == 0:
		return ""
	case d.Stream == "":
		return fmt.Sprintf("stream %d, which the catalog does not have", d.ID)
	case d.Account == "" || d.Account == "$G":
		return "stream " + d.Stream
	}
	return fmt.Sprintf("stream %s of account %s", d.Stream, d.Account)
}

// Sequences says what it costs, for people.
func (d *Damage) Sequences() string {
	switch {
	case d.Last == 0:
		return "no sequence"
	case d.First == d.Last:
		return fmt.Sprintf("sequence %d", d.First)
	}
	return fmt.Sprintf("sequences %d to %d", d.First, d.Last)
}

// Report is what was found in a directory.
type Report struct {
	Dir     string   `json:"dir"`
	Files   int      `json:"files"`
	Bytes   int64    `json:"bytes"`   // read
	Streams int      `json:"streams"` // on disk
	Damage  []Damage `json:"damage"`
	// Unchecked is what could not be looked at, and why.
	Unchecked []string `json:"unchecked,omitempty"`
	// Notes are of no consequence.
	Notes []string `json:"notes,omitempty"`
}

// Open is the damage that is not quarantined.
func (r *Report) Open() (n int) {
	for i := range r.Damage {
		if !r.Damage[i].Quarantined {
			n++
		}
	}
	return n
}

// Clean says that all was looked at and no damage is new.
func (r *Report) Clean() bool { return r.Open() == 0 && len(r.Unchecked) == 0 }

func (r *Report) note(format string, a ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, a...)) }

func (r *Report) skipped(what string, err error) {
	r.Unchecked = append(r.Unchecked, fmt.Sprintf("%s: %v", what, err))
}

// sort orders the damage by place.
func (r *Report) sort() {
	slices.SortStableFunc(r.Damage, func(a, b Damage) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.ID, b.ID), cmp.Compare(a.First, b.First))
	})
}
