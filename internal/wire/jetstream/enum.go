package jetstream

import "fmt"

// Enumerations stand as strings on the wire; a string that is not in the list is
// an error. The zero value of each is what a missing key means.

// Retention says what removes messages.
type Retention uint8

// Retentions.
const (
	RetentionLimits Retention = iota
	RetentionInterest
	RetentionWorkQueue
)

// Discard says what gives way when a stream is full.
type Discard uint8

// Discards.
const (
	DiscardOld Discard = iota
	DiscardNew
)

// Storage says where messages are kept.
type Storage uint8

// Storages.
const (
	StorageFile Storage = iota
	StorageMemory
)

// Compression of stored messages.
type Compression uint8

// Compressions.
const (
	CompressionNone Compression = iota
	CompressionS2
)

// PersistMode says whether an acknowledgement waits for the store.
type PersistMode uint8

// Persist modes.
const (
	PersistDefault PersistMode = iota
	PersistAsync
)

// DeliverPolicy says where a consumer begins.
type DeliverPolicy uint8

// Deliver policies.
const (
	DeliverAll DeliverPolicy = iota
	DeliverLast
	DeliverNew
	DeliverByStartSequence
	DeliverByStartTime
	DeliverLastPerSubject
)

// AckPolicy says which deliveries must be acknowledged.
type AckPolicy uint8

// Ack policies.
const (
	AckNone AckPolicy = iota
	AckAll
	AckExplicit
	AckFlowControl
)

// ReplayPolicy says how fast old messages are delivered.
type ReplayPolicy uint8

// Replay policies.
const (
	ReplayInstant ReplayPolicy = iota
	ReplayOriginal
)

// PriorityPolicy says which of a group's pull requests is served.
type PriorityPolicy uint8

// Priority policies.
const (
	PriorityNone PriorityPolicy = iota
	PriorityOverflow
	PriorityPinnedClient
	PriorityPrioritized
)

var (
	retentionNames   = []string{"limits", "interest", "workqueue"}
	discardNames     = []string{"old", "new"}
	storageNames     = []string{"file", "memory"}
	compressionNames = []string{"none", "s2"}
	persistNames     = []string{"default", "async"}
	deliverNames     = []string{"all", "last", "new", "by_start_sequence", "by_start_time", "last_per_subject"}
	ackNames         = []string{"none", "all", "explicit", "flow_control"}
	replayNames      = []string{"instant", "original"}
	priorityNames    = []string{"none", "overflow", "pinned_client", "prioritized"}
)

func name[E ~uint8](e E, names []string) string {
	if int(e) >= len(names) {
		return fmt.Sprintf("unknown (%d)", e)
	}
	return names[e]
}

func marshalName[E ~uint8](e E, names []string) ([]byte, error) {
	if int(e) >= len(names) {
		return nil, fmt.Errorf("encode value %d: no such name", e)
	}
	return []byte(names[e]), nil
}

func unmarshalName[E ~uint8](e *E, text []byte, names []string) error {
	for i, n := range names {
		if n == string(text) {
			*e = E(i)
			return nil
		}
	}
	return fmt.Errorf("can not unmarshal %q", text)
}

func (e Retention) String() string { return name(e, retentionNames) }

// MarshalText gives the name; a value without one is an error.
func (e Retention) MarshalText() ([]byte, error) { return marshalName(e, retentionNames) }

// UnmarshalText accepts the names only.
func (e *Retention) UnmarshalText(b []byte) error { return unmarshalName(e, b, retentionNames) }

func (e Discard) String() string { return name(e, discardNames) }

// MarshalText gives the name; a value without one is an error.
func (e Discard) MarshalText() ([]byte, error) { return marshalName(e, discardNames) }

// UnmarshalText accepts the names only.
func (e *Discard) UnmarshalText(b []byte) error { return unmarshalName(e, b, discardNames) }

func (e Storage) String() string { return name(e, storageNames) }

// MarshalText gives the name; a value without one is an error.
func (e Storage) MarshalText() ([]byte, error) { return marshalName(e, storageNames) }

// UnmarshalText accepts the names only.
func (e *Storage) UnmarshalText(b []byte) error { return unmarshalName(e, b, storageNames) }

func (e Compression) String() string { return name(e, compressionNames) }

// MarshalText gives the name; a value without one is an error.
func (e Compression) MarshalText() ([]byte, error) { return marshalName(e, compressionNames) }

// UnmarshalText accepts the names only.
func (e *Compression) UnmarshalText(b []byte) error { return unmarshalName(e, b, compressionNames) }

func (e PersistMode) String() string { return name(e, persistNames) }

// MarshalText gives the name; a value without one is an error.
func (e PersistMode) MarshalText() ([]byte, error) { return marshalName(e, persistNames) }

// UnmarshalText accepts the names only.
func (e *PersistMode) UnmarshalText(b []byte) error { return unmarshalName(e, b, persistNames) }

func (e DeliverPolicy) String() string { return name(e, deliverNames) }

// MarshalText gives the name; a value without one is an error.
func (e DeliverPolicy) MarshalText() ([]byte, error) { return marshalName(e, deliverNames) }

// UnmarshalText accepts the names only.
func (e *DeliverPolicy) UnmarshalText(b []byte) error { return unmarshalName(e, b, deliverNames) }

func (e AckPolicy) String() string { return name(e, ackNames) }

// MarshalText gives the name; a value without one is an error.
func (e AckPolicy) MarshalText() ([]byte, error) { return marshalName(e, ackNames) }

// UnmarshalText accepts the names only.
func (e *AckPolicy) UnmarshalText(b []byte) error { return unmarshalName(e, b, ackNames) }

func (e ReplayPolicy) String() string { return name(e, replayNames) }

// MarshalText gives the name; a value without one is an error.
func (e ReplayPolicy) MarshalText() ([]byte, error) { return marshalName(e, replayNames) }

// UnmarshalText accepts the names only.
func (e *ReplayPolicy) UnmarshalText(b []byte) error { return unmarshalName(e, b, replayNames) }

func (e PriorityPolicy) String() string { return name(e, priorityNames) }

// MarshalText gives the name; a value without one is an error.
func (e PriorityPolicy) MarshalText() ([]byte, error) { return marshalName(e, priorityNames) }

// UnmarshalText accepts the names only.
func (e *PriorityPolicy) UnmarshalText(b []byte) error { return unmarshalName(e, b, priorityNames) }
