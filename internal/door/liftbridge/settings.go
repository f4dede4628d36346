package liftbridge

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/stream"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
)

// settings is what a partition has beside what JetStream knows of it. They are kept
// as metadata, each under a key of its own.
type settings struct {
	Name                  string // of the stream
	Subject               string // of partition 0
	Partition, Partitions int32
	OCC                   bool // expected offsets are checked
	Compact               bool // by key
	AutoPause             time.Duration
	AutoPauseUnlessRead   bool // not while there are subscribers
	Encryption            bool
	Internal              bool // a stream of the door's own, which clients are not shown
	// What is kept for whoever asks, and has no effect: segments are the engine's, and
	// there is one server.
	SegmentMaxBytes, SegmentMaxAge, CleanerInterval int64
	CompactGoroutines, MinISR, ReplicationFactor    int32
}

// Metadata keys. The first four cannot be changed.
const (
	keyName              = "weir.liftbridge.stream"
	keySubject           = "weir.liftbridge.subject"
	keyPartition         = "weir.partition"
	keyPartitions        = "weir.partitions"
	keyOCC               = "weir.liftbridge.optimistic_concurrency_control"
	keyCompact           = "weir.compact"
	keyAutoPause         = "weir.liftbridge.auto_pause_time"
	keyAutoPauseUnread   = "weir.liftbridge.auto_pause_disable_if_subscribers"
	keyEncryption        = "weir.liftbridge.encryption"
	keyInternal          = "weir.internal"
	keySegmentMaxBytes   = "weir.liftbridge.segment_max_bytes"
	keySegmentMaxAge     = "weir.liftbridge.segment_max_age"
	keyCleanerInterval   = "weir.liftbridge.cleaner_interval"
	keyCompactGoroutines = "weir.liftbridge.compact_max_goroutines"
	keyMinISR            = "weir.liftbridge.min_isr"
	keyReplicationFactor = "weir.liftbridge.replication_factor"
)

// compactByKey is the value of keyCompact with which the newest message of each key
// is kept. JetStream's door knows others.
const compactByKey = "key"

var fixedKeys = []string{keyName, keySubject, keyPartition, keyPartitions, keyInternal}

// metadata gives the settings as metadata. What is zero is left out.
func (s *settings) metadata() map[string]string {
	m := map[string]string{
		keyName: s.Name, keySubject: s.Subject,
		keyPartition: strconv.Itoa(int(s.Partition)), keyPartitions: strconv.Itoa(int(s.Partitions)),
	}
	for key, on := range map[string]bool{
		keyOCC: s.OCC, keyAutoPauseUnread: s.AutoPauseUnlessRead, keyEncryption: s.Encryption, keyInternal: s.Internal,
	} {
		if on {
			m[key] = "true"
		}
	}
	if s.Compact {
		m[keyCompact] = compactByKey
	}
	if s.AutoPause > 0 {
		m[keyAutoPause] = s.AutoPause.String()
	}
	for key, n := range map[string]int64{
		keySegmentMaxBytes: s.SegmentMaxBytes, keySegmentMaxAge: s.SegmentMaxAge, keyCleanerInterval: s.CleanerInterval,
		keyCompactGoroutines: int64(s.CompactGoroutines), keyMinISR: int64(s.MinISR), keyReplicationFactor: int64(s.ReplicationFactor),
	} {
		if n != 0 {
			m[key] = strconv.FormatInt(n, 10)
		}
	}
	return m
}

// reader reads settings and keeps the first error.
type reader struct {
	meta map[string]string
	err  error
}

func (r *reader) failed(key string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("metadata %s: %w", key, err)
	}
}

func (r *reader) boolean(key string) bool {
	if r.meta[key] == "" {
		return false
	}
	v, err := strconv.ParseBool(r.meta[key])
	r.failed(key, err)
	return v
}

func (r *reader) number(key string, bits int) int64 {
	if r.meta[key] == "" {
		return 0
	}
	n, err := strconv.ParseInt(r.meta[key], 10, bits)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	r.failed(key, err)
	return n
}

// readSettings reads metadata; an error names the key that is wrong.
func readSettings(meta map[string]string) (settings, error) {
	r := reader{meta: meta}
	s := settings{
		Name: meta[keyName], Subject: meta[keySubject],
		Partition: int32(r.number(keyPartition, 32)), Partitions: int32(r.number(keyPartitions, 32)),
		OCC: r.boolean(keyOCC), AutoPauseUnlessRead: r.boolean(keyAutoPauseUnread),
		Encryption: r.boolean(keyEncryption), Internal: r.boolean(keyInternal),
		SegmentMaxBytes: r.number(keySegmentMaxBytes, 64), SegmentMaxAge: r.number(keySegmentMaxAge, 64),
		CleanerInterval: r.number(keyCleanerInterval, 64), CompactGoroutines: int32(r.number(keyCompactGoroutines, 32)),
		MinISR: int32(r.number(keyMinISR, 32)), ReplicationFactor: int32(r.number(keyReplicationFactor, 32)),
	}
	s.Compact = meta[keyCompact] == compactByKey
	if v := meta[keyAutoPause]; v != "" {
		var err error
		if s.AutoPause, err = time.ParseDuration(v); err == nil && s.AutoPause < 0 {
			err = strconv.ErrRange
		}
		r.failed(keyAutoPause, err)
	}
	if s.Name == "" || s.Subject == "" || s.Partitions < 1 || s.Partition >= s.Partitions {
		r.failed(keyName, fmt.Errorf("stream %q, subject %q, partition %d of %d", s.Name, s.Subject, s.Partition, s.Partitions))
	}
	return s, r.err
}

// native is a stream of this door's dialect as both doors see it.
type native struct {
	js  *jswire.StreamConfig
	set settings
}

// JetStream is the configuration in JetStream's terms.
func (n *native) JetStream() *jswire.StreamConfig { return n.js }

// sameFixed says whether an update leaves alone what cannot be changed.
func sameFixed(old, next map[string]string) bool {
	for _, k := range fixedKeys {
		if old[k] != next[k] {
			return false
		}
	}
	return true
}

// withSettings puts settings into other metadata.
func withSettings(meta map[string]string, s *settings) map[string]string {
	out := maps.Clone(meta)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, s.metadata())
	return out
}

// describedSealed says whether a configuration is one of a sealed stream in
// JetStream's terms.
func describedSealed(c *stream.Config) bool {
	var js struct {
		Sealed bool `json:"sealed"`
	}
	return json.Unmarshal(c.Doc, &js) == nil && js.Sealed
}
