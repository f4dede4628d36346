package liftbridge

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// Restored looks at the configuration of a stream that is made of a backup, in
// JetStream's terms. Where that says that it is a partition of a Liftbridge stream,
// under its own name and subject, it is made one. Otherwise it stays as it is.
func Restored(c *stream.Config) error {
	var js struct {
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal(c.Doc, &js); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if !wire.HasSettings(js.Metadata) {
		return nil
	}
	set, err := wire.ReadSettings(js.Metadata)
	if err != nil {
		return err
	}
	at := []string{wire.PartitionSubject(set.Subject, set.Partition)}
	if set.Internal || reserved(set.Name) || c.Name != set.StreamName() || !slices.Equal(c.Subjects, at) {
		return nil
	}
	switch {
	case !wire.ValidName(set.Name):
		return fmt.Errorf("%q is no name of a Liftbridge stream", set.Name)
	case set.Partitions > maxPartitions:
		return fmt.Errorf("it is of %d partitions, there may be %d", set.Partitions, maxPartitions)
	case set.Group != "" && !subject.ValidLiteral(set.Group):
		return fmt.Errorf("%q is no queue group", set.Group)
	}
	c.Dialect, c.Capture, c.Queue = DialectName, stream.CaptureShared, set.Group
	if set.Partitions > 1 {
		c.Member = &stream.Member{Family: set.Name, Index: int(set.Partition), Count: int(set.Partitions)}
	}
	return nil
}
