package jetstream

import (
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
	natswire "github.com/weirmq/weir/internal/wire/nats"
)

// Metadata with which a stream keeps only the newest message of each subject or key.
const (
	metaCompact      = "weir.compact"         // "subject" or "key"
	metaCompactDirty = "weir.compact.dirty"   // percent of the messages; see partition.Limits
	metaCompactAge   = "weir.compact.min_age" // a duration; see partition.Limits
)

// headerKey names a message's key in a stream that is compacted by it.
const headerKey = "Weir-Key"

// compaction reads the metadata. bad names the one that is not understood.
func compaction(meta map[string]string) (mode partition.Compaction, dirty, age int64, bad string) {
	switch meta[metaCompact] {
	case "":
	case "subject":
		mode = partition.CompactSubjects
	case "key":
		mode = partition.CompactKeys
	default:
		bad = metaCompact
	}
	if text, ok := meta[metaCompactDirty]; ok {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > 100 {
			bad = metaCompactDirty
		}
		dirty = n
	}
	if text, ok := meta[metaCompactAge]; ok {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			bad = metaCompactAge
		}
		age = int64(d)
	}
	return mode, dirty, age, bad
}

// checkCompaction refuses metadata that the server does not understand.
func checkCompaction(cfg *wire.StreamConfig) *wire.Error {
	_, _, _, bad := compaction(cfg.Metadata)
	if _, ok := leafAck(cfg.Metadata); !ok {
		bad = metaLeafAck
	}
	if bad != "" {
		return wire.ErrWith(wire.CodeStreamInvalidConfig, "err", "stream metadata "+bad+" has an invalid value")
	}
	return nil
}

// setCompaction puts the metadata into the log's terms. What is not understood, in a
// configuration from elsewhere, is none.
func setCompaction(l *partition.Limits, cfg *wire.StreamConfig) {
	mode, dirty, age, bad := compaction(cfg.Metadata)
	if mode != partition.CompactNone && bad == "" {
		l.Compact, l.CompactDirty, l.CompactAge = mode, dirty, age
	}
}

// keyOf is the key of a message in a stream that is compacted by keys.
func keyOf(s *stream.Stream, header []byte) []byte {
	if s.Config().Limits.Compact != partition.CompactKeys {
		return nil
	}
	return natswire.HeaderValue(header, headerKey)
}
