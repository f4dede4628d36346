package jetstream

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Keys of metadata of streams with partitions.
const (
	// MetaPartitions says how many partitions a stream has. It is given when the stream
	// is created and never changes.
	MetaPartitions = "weir.partitions"
	// MetaPartition is which of them a stream is, from 0; the server sets it.
	MetaPartition = "weir.partition"
	// metaElsewhere is there where another door deals with the partitions.
	metaElsewhere = "weir.liftbridge.stream"
)

// MaxPartitions bounds the partitions of a stream.
const MaxPartitions = 1000

// partitionMark stands between a stream's name and the number of a partition.
const partitionMark = ":"

// Header lines by which a message is given its partition. The second has the key in
// base64.
const (
	HeaderKey       = "Weir-Key"
	HeaderKeyBinary = "Weir-Key-Base64"
)

// Partitions is how many partitions the configuration asks for, 1 where it does not
// say or where another door deals with them.
func (c *StreamConfig) Partitions() int {
	if c.Metadata[metaElsewhere] != "" {
		return 1
	}
	n, err := strconv.Atoi(c.Metadata[MetaPartitions])
	if err != nil {
		return 1
	}
	return n
}

// Partition says of which stream the configuration is a partition, and which one.
func (c *StreamConfig) Partition() (family string, k int, ok bool) {
	if c.Metadata[MetaPartition] == "" || c.Metadata[metaElsewhere] != "" {
		return "", 0, false
	}
	k, err := strconv.Atoi(c.Metadata[MetaPartition])
	if err != nil || k < 0 || k >= c.Partitions() {
		return "", 0, false
	}
	family, ok = strings.CutSuffix(c.Name, partitionMark+strconv.Itoa(k))
	return family, k, ok
}

// CheckPartitions says whether a stream can be created with the partitions that a
// normalized configuration asks for.
func (c *StreamConfig) CheckPartitions() *Error {
	if c.Metadata[metaElsewhere] != "" {
		return nil
	}
	if c.Metadata[MetaPartition] != "" {
		return invalidStream("stream metadata %s is set by the server", MetaPartition)
	}
	text, ok := c.Metadata[MetaPartitions]
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 1 || n > MaxPartitions || text != strconv.Itoa(n):
		return invalidStream("stream metadata %s needs a number from 1 to %d", MetaPartitions, MaxPartitions)
	case n == 1:
		return nil
	case strings.ContainsFunc(c.Name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' || r == '%' }):
		return invalidStream("the name of a stream with partitions can have only ASCII letters, digits and signs without ':' and '%%'")
	}
	last := StreamConfig{Name: c.Name + partitionMark + strconv.Itoa(n-1)}
	if err := last.checkName(); err != nil {
		return err
	}
	return c.checkDealt()
}

// checkDealt refuses what needs all messages of a stream in one log.
func (c *StreamConfig) checkDealt() *Error {
	for _, r := range [...]struct {
		asked bool
		what  string
	}{
		{c.Mirror != nil, "be a mirror"},
		{len(c.Sources) > 0, "have sources"},
		{len(c.Subjects) == 0, "be without subjects"},
		{c.AllowAtomicPublish || c.AllowBatchPublish, "take batches"},
		{c.AllowMsgCounter, "be a counter"},
		{c.AllowMsgSchedules, "have schedules"},
		{c.Sealed, "be sealed"},
	} {
		if r.asked {
			return invalidStream("a stream with partitions can not %s", r.what)
		}
	}
	return nil
}

// CheckPartitionsUpdate says whether a stream with partitions may change from c to
// next, both of the stream as a whole.
func (c *StreamConfig) CheckPartitionsUpdate(next *StreamConfig) *Error {
	if c.Metadata[metaElsewhere] != "" {
		return nil // its door looks after that
	}
	if next.Metadata[MetaPartitions] != c.Metadata[MetaPartitions] || next.Metadata[MetaPartition] != "" {
		return invalidStream("stream configuration update: the number of partitions never changes")
	}
	if c.Partitions() == 1 {
		return nil
	}
	return next.checkDealt()
}

// OfPartition gives the configuration of partition k of the stream that c describes.
func (c *StreamConfig) OfPartition(k int) *StreamConfig {
	out := *c
	out.Subjects = slices.Clone(c.Subjects)
	out.Name += partitionMark + strconv.Itoa(k)
	out.Metadata = maps.Clone(c.Metadata)
	out.Metadata[MetaPartition] = strconv.Itoa(k)
	return &out
}

// OfFamily gives the configuration of the stream that c describes a partition of.
func (c *StreamConfig) OfFamily() *StreamConfig {
	out := *c
	out.Name = strings.TrimSuffix(c.Name, partitionMark+c.Metadata[MetaPartition])
	out.Metadata = maps.Clone(c.Metadata)
	delete(out.Metadata, MetaPartition)
	return &out
}

// Named says whether a publisher who expects the stream of this name means this one: it
// is its name, or that of the stream that it is a partition of.
func (c *StreamConfig) Named(name []byte) bool {
	if string(name) == c.Name {
		return true
	}
	k := c.Metadata[MetaPartition]
	return k != "" && c.Name[:max(len(c.Name)-len(k)-len(partitionMark), 0)] == string(name) && strings.HasSuffix(c.Name, partitionMark+k)
}
