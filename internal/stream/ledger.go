package stream

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// ledger is the applied state of a stream's consumers: what a checkpoint holds
// and a restart continues from. Only the group's goroutine uses it, and whoever
// takes a checkpoint while nothing is applied.
type ledger struct {
	stream *Stream
	by     map[uint64]*applied
	names  map[string]uint64 // of those in by
	// config is the configuration in force as it is encoded; nil while that is the
	// one that the stream was created with.
	config []byte
	log    releaser // the stream's
	done   []uint64 // reused: what a change of a consumer is done with

	copiedMu sync.Mutex
	copied   map[originKey]progress // guarded by copiedMu
}

// applied is one consumer as the log has it.
type applied struct {
	spec    consumerSpec
	replica *consumer.Replica
}

// consumerSpec is the entry that creates or changes a consumer.
type consumerSpec struct {
	ID      uint64 `json:"id"`
	Created int64  `json:"created"` // Unix ns
	// Update changes a consumer that exists, and none else.
	Update bool           `json:"update,omitempty"`
	Config ConsumerConfig `json:"config"`
	// State is where a consumer of a backup goes on; empty: at its start.
	State []byte `json:"state,omitempty"`
	// Unsure: up to this sequence the consumer may pass what its filter matches. It is
	// set where the entry is applied.
	Unsure uint64 `json:"unsure,omitempty"`
}

// stateRecord values come back with KindConsumerState entries.
type stateRecord struct {
	stream  *Stream
	replies [][]byte // confirmations of acknowledgements to send
}

// Apply makes an entry about consumers, or a new configuration, take effect.
func (l *ledger) Apply(kind record.Kind, data []byte, value any) {
	var err error
	switch kind {
	case record.KindConfig:
		err = l.applyConfig(data)
	case record.KindConsumerSet:
		err = l.applySet(data, value)
	case record.KindConsumerDrop:
		err = l.applyDrop(data)
	case record.KindConsumerState:
		err = l.applyState(data)
	case record.KindOrigin:
		err = l.applyOrigin(data)
	case record.KindDedup, record.KindFrame, record.KindRemove, record.KindStreamCreate, record.KindStreamDrop:
		err = fmt.Errorf("entry of kind %d for consumers: %w", kind, record.ErrDamaged)
	}
	if err != nil && !refused(err) {
		l.stream.dir.log.Error("entry not applied", "stream", l.stream.spec.Name, "account", l.stream.spec.Account, "kind", kind, "error", err)
	}
	switch v := value.(type) {
	case *waiter:
		v.fail(err)
	case *creation:
		v.waiter.fail(err)
	case *stateRecord:
		l.stream.dir.journalAcked(l.stream, v.replies)
	}
}

// refused says that an entry has no effect because those before it do not allow it,
// which whoever proposed it is told.
func refused(err error) bool {
	return errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnfilteredWork) || errors.Is(err, ErrSharedWork)
}

func (l *ledger) applyConfig(data []byte) error {
	doc, err := partition.ConfigDoc(data)
	if err != nil {
		return err
	}
	c, err := decodeConfig(doc)
	if err != nil {
		return err
	}
	was := l.stream.config.Load()
	if err := l.stream.setConfig(c); err != nil {
		return err
	}
	l.config = slices.Clone(doc)
	l.retained(was)
	l.stream.configured()
	return nil
}

func (l *ledger) applySet(data []byte, value any) error {
	var spec consumerSpec
	if err := json.Unmarshal(data, &spec); err != nil {
		return fmt.Errorf("consumer entry: %w: %w", record.ErrDamaged, err)
	}
	if err := l.set(spec); err != nil {
		return err
	}
	if cr, ok := value.(*creation); ok {
		c, err := l.stream.consumerSet(spec)
		cr.consumer = c
		return err
	}
	return nil
}

// set notes a consumer. What the entries before it do not allow has no effect.
func (l *ledger) set(spec consumerSpec) error {
	a := l.by[spec.ID]
	_, taken := l.names[spec.Config.Name]
	switch {
	case spec.Update && (a == nil || a.spec.Config.Name != spec.Config.Name):
		return ErrNotFound
	case !spec.Update && (a != nil || taken):
		return ErrExists
	}
	if err := l.admits(&spec); err != nil {
		return err
	}
	if spec.Update {
		was := a.spec
		spec.Unsure = was.Unsure
		a.spec = spec
		l.refiltered(a, was.Config.Filter)
		return nil
	}
	st := consumer.StartAt(spec.Config.Start)
	if len(spec.State) > 0 {
		var err error
		if st, err = consumer.DecodeState(spec.State); err != nil {
			return fmt.Errorf("consumer %q: %w", spec.Config.Name, err)
		}
		spec.State = nil
	}
	if spec.Config.LastPerSubject {
		spec.Unsure = max(spec.Unsure, spec.Config.SkipTo)
	}
	l.by[spec.ID] = &applied{spec: spec, replica: consumer.NewReplica(st)}
	l.names[spec.Config.Name] = spec.ID
	return nil
}

func (l *ledger) applyDrop(data []byte) error {
	id, n := binary.Uvarint(data)
	if n <= 0 {
		return fmt.Errorf("consumer drop: %w", record.ErrDamaged)
	}
	if a := l.by[id]; a != nil {
		delete(l.by, id)
		delete(l.names, a.spec.Config.Name)
		l.dropped(a)
		l.stream.consumerDropped(a.spec.Config.Name, id)
	}
	return nil
}

func (l *ledger) applyState(data []byte) error {
	id, n := binary.Uvarint(data)
	if n <= 0 {
		return fmt.Errorf("consumer state: %w", record.ErrDamaged)
	}
	a := l.by[id]
	if a == nil {
		return nil // deleted in the meantime
	}
	return l.progressed(a, data[n:])
}

// Snapshot appends the configuration, empty if it is that of the creation, the
// number of consumers (4 bytes), and for each its spec as JSON and its state.
// Each of these is a block: its length (4 bytes) and its bytes. What appendOrigins
// appends follows.
func (l *ledger) Snapshot(dst []byte) []byte {
	dst = appendBlock(dst, l.config)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(l.by)))
	for _, id := range slices.Sorted(maps.Keys(l.by)) {
		a := l.by[id]
		spec, err := json.Marshal(&a.spec)
		if err != nil {
			panic("stream: a consumer does not encode: " + err.Error())
		}
		dst = appendBlock(dst, spec)
		dst = appendBlock(dst, a.replica.AppendState(nil))
	}
	return l.appendOrigins(dst)
}

func appendBlock(dst, b []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}

// Restore is the inverse of Snapshot. It is total.
func (l *ledger) Restore(b []byte) error {
	config, b, err := takeBlock(b)
	if err != nil {
		return err
	}
	if len(config) > 0 {
		c, err := decodeConfig(config)
		if err != nil {
			return err
		}
		if err := l.stream.setConfig(c); err != nil {
			return err
		}
		l.config = slices.Clone(config)
	}
	if err := l.restoreConsumers(b); err != nil {
		return err
	}
	return l.restoreOrigins(b)
}

func (l *ledger) restoreConsumers(b []byte) error {
	return eachConsumer(b, func(spec, state []byte) error {
		a := &applied{}
		if err := json.Unmarshal(spec, &a.spec); err != nil {
			return fmt.Errorf("consumer: %w: %w", record.ErrDamaged, err)
		}
		st, err := consumer.DecodeState(state)
		if err != nil {
			return fmt.Errorf("consumer %q: %w", a.spec.Config.Name, err)
		}
		a.replica = consumer.NewReplica(st)
		if _, taken := l.names[a.spec.Config.Name]; taken || l.by[a.spec.ID] != nil {
			return fmt.Errorf("consumer %q twice: %w", a.spec.Config.Name, record.ErrDamaged)
		}
		l.by[a.spec.ID] = a
		l.names[a.spec.Config.Name] = a.spec.ID
		return nil
	})
}

// eachConsumer calls f for the consumers of a snapshot, which begin with their
// number.
func eachConsumer(b []byte, f func(spec, state []byte) error) error {
	if len(b) < 4 {
		return fmt.Errorf("consumers of %d bytes: %w", len(b), record.ErrDamaged)
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	for range n {
		var spec, state []byte
		var err error
		if spec, b, err = takeBlock(b); err == nil {
			state, b, err = takeBlock(b)
		}
		if err == nil {
			err = f(spec, state)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func takeBlock(b []byte) (block, rest []byte, err error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, nil, fmt.Errorf("consumer block: %w", record.ErrDamaged)
	}
	n := 4 + binary.LittleEndian.Uint32(b)
	return b[4:n], b[n:], nil
}
