package liftbridge

import (
	"fmt"
	"strconv"
	"time"
)

// Settings are what a partition has beside what JetStream knows of it. They are kept
// as metadata, each under a key of its own.
type Settings struct {
	Name                  string // of the stream
	Subject               string // of partition 0
	Group                 string // queue group; empty: none, or made before it was kept here
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

// Metadata keys.
const (
	keyName              = "weir.liftbridge.stream"
	keySubject           = "weir.liftbridge.subject"
	keyGroup             = "weir.liftbridge.group"
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

// fixedKeys cannot be changed.
var fixedKeys = []string{keyName, keySubject, keyGroup, keyPartition, keyPartitions, keyInternal}

// Metadata gives the settings as metadata. What is zero is left out.
func (s *Settings) Metadata() map[string]string {
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
	if s.Group != "" {
		m[keyGroup] = s.Group
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

// ReadSettings reads metadata; an error names the key that is wrong.
func ReadSettings(meta map[string]string) (Settings, error) {
	r := reader{meta: meta}
	s := Settings{
		Name: meta[keyName], Subject: meta[keySubject], Group: meta[keyGroup],
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

// HasSettings says whether metadata is that of a partition of a Liftbridge stream.
func HasSettings(meta map[string]string) bool { return meta[keyName] != "" }

// SameStream says whether two settings, as metadata, leave alike what cannot be changed.
func SameStream(a, b map[string]string) bool {
	for _, k := range fixedKeys {
		if a[k] != b[k] {
			return false
		}
	}
	return true
}

// StreamName is the JetStream name of the partition.
func (s *Settings) StreamName() string {
	if s.Partitions > 1 {
		return PartitionName(s.Name, s.Partition)
	}
	return EscapeName(s.Name)
}
