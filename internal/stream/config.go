package stream

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// Config is a stream's configuration in neutral terms.
type Config struct {
	Name     string   `json:"name"`
	Subjects []string `json:"subjects"`
	// Capture says how the stream takes messages of its subjects. Queue is the queue
	// group that it does so in, of shared capture; empty: none.
	Capture Capture `json:"capture,omitempty"`
	Queue   string  `json:"queue,omitempty"`
	// Gate keeps messages out.
	Gate Gate `json:"gate,omitzero"`
	// Member says which partition of a family the stream is; nil: of none.
	Member *Member `json:"member,omitempty"`
	// Memory keeps records in memory only: they end with the process.
	Memory bool `json:"memory,omitempty"`
	// Kind names the storage that keeps the records, where it is not the server's own.
	Kind   string           `json:"kind,omitempty"`
	Limits partition.Limits `json:"limits"`
	// First is the sequence of the first record; 0 is 1.
	First uint64 `json:"first,omitempty"`
	// MaxConsumers bounds the stream's consumers; 0 or less: no bound.
	MaxConsumers int `json:"max_consumers,omitempty"`
	// NoAck: publishers get no reply.
	NoAck bool `json:"no_ack,omitempty"`
	// AckLinks: publishers on the other side of a link to another server get one, too.
	AckLinks bool `json:"ack_links,omitempty"`
	// Retention says what removes records, beside Limits.
	Retention Retention `json:"retention,omitempty"`
	// Mapping gives what is stored other subjects; nil: none.
	Mapping *Mapping `json:"mapping,omitempty"`
	// Republish publishes again what is stored; nil: nothing.
	Republish *Republish `json:"republish,omitempty"`
	// Whole takes batches that are stored whole or not at all, Fast those that are
	// stored as they come.
	Whole bool `json:"whole,omitempty"`
	Fast  bool `json:"fast,omitempty"`
	// Async acknowledges what is published before it is durable.
	Async bool `json:"async,omitempty"`
	// Compression of what is stored on disk: s2, zstd, or none.
	Compression string `json:"compression,omitempty"`
	// Mirror is the stream that this one copies, its sequences and times included;
	// nothing else is stored then. Sources are streams whose records are stored
	// beside others, as new ones.
	Mirror  *Origin  `json:"mirror,omitempty"`
	Sources []Origin `json:"sources,omitempty"`
	// Restoring: the stream is being made from a backup and not there yet.
	Restoring bool `json:"restoring,omitempty"`
	// Dialect names whose protocol captures and describes the stream.
	Dialect string `json:"dialect"`
	// Doc is the configuration as the dialect's users gave it.
	Doc json.RawMessage `json:"doc,omitempty"`
}

// ConsumerConfig is a consumer's configuration in neutral terms.
type ConsumerConfig struct {
	Name string `json:"name"`
	// Filter are the subjects to deliver; none means all.
	Filter []string        `json:"filter,omitempty"`
	Core   consumer.Config `json:"core"`
	// Start is the first sequence to deliver.
	Start uint64 `json:"start"`
	// LastPerSubject delivers, of the records up to SkipTo, only the last of each
	// subject.
	LastPerSubject bool   `json:"last_per_subject,omitempty"`
	SkipTo         uint64 `json:"skip_to,omitempty"`
	// Local keeps the consumer out of the log: it ends with the process.
	Local bool `json:"local,omitempty"`
	// Ephemeral consumers are deleted when nobody used them for Core's
	// InactiveThreshold.
	HeadersOnly bool `json:"headers_only,omitempty"`
	// Dialect names whose protocol the consumer speaks; empty: the stream's.
	Dialect string          `json:"dialect,omitempty"`
	Doc     json.RawMessage `json:"doc,omitempty"`
}

func encodeConfig(c *Config) []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic("stream: a configuration does not encode: " + err.Error())
	}
	return b
}

// decodeConfig reads what encodeConfig wrote.
func decodeConfig(b []byte) (*Config, error) {
	c := new(Config)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("stream configuration: %w: %w", record.ErrDamaged, err)
	}
	return c, nil
}

// within gives the part of all that is equal to part, which is kept once then; part
// itself where there is none.
func within(all, part []byte) []byte {
	i := bytes.Index(all, part)
	if i < 0 || len(part) == 0 {
		return part
	}
	return all[i : i+len(part) : i+len(part)]
}
