package partition

// Limits is the part of a stream's configuration that its log enforces. A limit
// of zero or less is none.
type Limits struct {
	MaxRecords    int64 `json:"max_records,omitempty"`
	MaxBytes      int64 `json:"max_bytes,omitempty"` // by record.Size
	MaxPerSubject int64 `json:"max_per_subject,omitempty"`
	MaxRecord     int64 `json:"max_record,omitempty"` // header and data of one record, bytes
	MaxAge        int64 `json:"max_age,omitempty"`    // ns
	DedupWindow   int64 `json:"dedup_window,omitempty"`
	// DedupEntries bounds the window's memory: above it a record with an id is
	// refused rather than the window cut short. Zero: DefaultDedupEntries.
	DedupEntries         int64 `json:"dedup_entries,omitempty"`
	DiscardNew           bool  `json:"discard_new,omitempty"`
	DiscardNewPerSubject bool  `json:"discard_new_per_subject,omitempty"`
	// MarkerTTL, nanoseconds, has the last record of a subject that grows too old
	// replaced by a marker that lives so long; 0: it just goes. It is for the owner,
	// which then calls Old instead of Expire.
	MarkerTTL int64 `json:"marker_ttl,omitempty"`

	// Compact has only the newest record of each subject or key kept. The others go when
	// Partition.Compact is called and CompactDirty percent of the records were not there
	// the last time (0: 50). None goes, nor ends another, that is younger than CompactAge,
	// nanoseconds.
	Compact      Compaction `json:"compact,omitempty"`
	CompactDirty int64      `json:"compact_dirty,omitempty"`
	CompactAge   int64      `json:"compact_age,omitempty"`

	Rollups bool `json:"rollups,omitempty"`
	Sealed  bool `json:"sealed,omitempty"`
	// Totals has every record amended, see Totals. It never changes.
	Totals bool `json:"totals,omitempty"`
}

// DefaultDedupEntries is about 160 MiB of memory at the most.
const DefaultDedupEntries = 2 << 20

func (l *Limits) dedupEntries() int {
	if l.DedupEntries > 0 {
		return int(l.DedupEntries)
	}
	return DefaultDedupEntries
}
