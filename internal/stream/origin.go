package stream

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// Origin is another stream that a stream copies.
type Origin struct {
	// Key is the copy's name among all of a stream: another key is another copy,
	// which begins anew.
	Key    string `json:"key"`
	Stream string `json:"stream"`
	// Remote says that Stream is not one of the account on this server, and is reached by
	// messages only; its protocol's requests begin with API there, and what is asked for
	// is sent to subjects that begin with Deliver.
	Remote  bool   `json:"remote,omitempty"`
	API     string `json:"api,omitempty"`
	Deliver string `json:"deliver,omitempty"`
	// Consumer is one of the origin that was made beforehand, and ConsumerDeliver where it
	// sends; empty: one is made.
	Consumer        string `json:"consumer,omitempty"`
	ConsumerDeliver string `json:"consumer_deliver,omitempty"`
	// StartSeq and StartTime, Unix nanoseconds, are where the copy begins; 0: at the
	// start. A sequence goes before a time.
	StartSeq  uint64 `json:"start_seq,omitempty"`
	StartTime int64  `json:"start_time,omitempty"`
	// Maps are the subjects to copy and what becomes of them; none: all, unchanged.
	// The first that matches counts.
	Maps []Map `json:"maps,omitempty"`
}

// Map is what becomes of the subjects that a pattern matches, see
// subject.ParseTransform.
type Map struct {
	Source string `json:"source"`
	Target string `json:"target,omitempty"`
}

// Errors of origins: what keeps a stream from copying, and of a configuration.
var (
	ErrNoOrigin     = errors.New("stream not found")
	ErrRemoteOrigin = errors.New("the origin can not be reached: it is not on this server")
	ErrOtherOrigin  = errors.New("the origin is not the stream that was copied so far: it was made anew")
	ErrCopyFull     = errors.New("the stream takes no more messages")
	ErrTwoStarts    = errors.New("a start sequence and a start time")
	ErrCycle        = errors.New("detected cycle")
)

// origins are those of a configuration.
func (c *Config) origins() []Origin {
	if c.Mirror != nil {
		return []Origin{*c.Mirror}
	}
	return c.Sources
}

// originKey stands for an Origin's Key in the log.
type originKey [8]byte

func (o *Origin) key() originKey {
	sum := sha256.Sum256([]byte(o.Key))
	return originKey(sum[:8])
}

// filter stands for what is copied.
func (o *Origin) filter() *subject.Filter {
	var patterns []string
	for _, m := range o.Maps {
		patterns = append(patterns, m.Source)
	}
	return subject.FilterOf(patterns...)
}

// transforms parses the origin's maps.
func (o *Origin) transforms() ([]*subject.Transform, error) {
	var out []*subject.Transform
	for _, m := range o.Maps {
		t, err := subject.ParseTransform(m.Source, m.Target)
		if err != nil {
			return nil, fmt.Errorf("copy of stream %q: %w", o.Stream, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// progress is how far an origin is copied. It stands in the attributes of each
// copied record, so that it is in the frame that holds the record: what is stored
// and what is known to be copied never differ.
//
//	0   1  version (1)
//	1   8  key of the origin
//	9   8  number of the stream that was the origin, little endian as the others
//	17  8  sequence of the last record that was copied, or passed over
//	25  8  its time, Unix ns
type progress struct {
	origin uint64
	seq    uint64
	time   int64
}

const (
	progressVersion = 1
	progressLen     = 33
)

func (p *progress) append(dst []byte, k originKey) []byte {
	dst = append(append(dst, progressVersion), k[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, p.origin)
	dst = binary.LittleEndian.AppendUint64(dst, p.seq)
	return binary.LittleEndian.AppendUint64(dst, uint64(p.time))
}

// readProgress is the inverse. ok is false for anything else.
func readProgress(b []byte) (k originKey, p progress, ok bool) {
	if len(b) != progressLen || b[0] != progressVersion {
		return k, p, false
	}
	u := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	return originKey(b[1:9]), progress{origin: u(9), seq: u(17), time: int64(u(25))}, true
}

// Stored notes what a record says of its origin. It makes the ledger a
// partition.Copier.
func (l *ledger) Stored(attrs []byte) {
	if k, p, ok := readProgress(attrs); ok {
		l.setProgress(k, p)
	}
}

func (l *ledger) setProgress(k originKey, p progress) {
	l.copiedMu.Lock()
	defer l.copiedMu.Unlock()
	if l.copied == nil {
		l.copied = map[originKey]progress{}
	}
	l.copied[k] = p
}

func (l *ledger) progressOf(k originKey) progress {
	l.copiedMu.Lock()
	defer l.copiedMu.Unlock()
	return l.copied[k]
}

// applyOrigin applies a KindOrigin entry.
func (l *ledger) applyOrigin(data []byte) error {
	k, p, ok := readProgress(data)
	if !ok {
		return fmt.Errorf("progress of a copy: %w", record.ErrDamaged)
	}
	l.setProgress(k, p)
	return nil
}

// appendOrigins appends to a snapshot how far the origins are copied, if there are
// any: their number (4 bytes) and each as it stands in attributes.
func (l *ledger) appendOrigins(dst []byte) []byte {
	l.copiedMu.Lock()
	defer l.copiedMu.Unlock()
	if len(l.copied) == 0 {
		return dst
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(l.copied)))
	byKey := func(a, b originKey) int { return bytes.Compare(a[:], b[:]) }
	for _, k := range slices.SortedFunc(maps.Keys(l.copied), byKey) {
		p := l.copied[k]
		dst = p.append(dst, k)
	}
	return dst
}

// restoreOrigins reads what follows the consumers of a snapshot.
func (l *ledger) restoreOrigins(consumers []byte) error {
	b := consumers[4:]
	for range binary.LittleEndian.Uint32(consumers) {
		for range 2 {
			var err error
			if _, b, err = takeBlock(b); err != nil {
				return err
			}
		}
	}
	if len(b) == 0 {
		return nil
	}
	if len(b) < 4 || uint64(len(b)-4) != uint64(binary.LittleEndian.Uint32(b))*progressLen {
		return fmt.Errorf("copied origins of %d bytes: %w", len(b), record.ErrDamaged)
	}
	for b = b[4:]; len(b) > 0; b = b[progressLen:] {
		if err := l.applyOrigin(b[:progressLen]); err != nil {
			return err
		}
	}
	return nil
}

// copyRefused says why a stream does not take the copy of a record.
func copyRefused(r partition.Refusal) error {
	switch r {
	case partition.MaxRecords:
		return fmt.Errorf("%w: maximum messages exceeded", ErrCopyFull)
	case partition.MaxBytes:
		return fmt.Errorf("%w: maximum bytes exceeded", ErrCopyFull)
	case partition.MaxPerSubject:
		return fmt.Errorf("%w: maximum messages per subject exceeded", ErrCopyFull)
	case partition.NoSpace:
		return partition.ErrNoSpace
	case partition.TooLarge:
		return fmt.Errorf("%w: a message is too large for it", ErrCopyFull)
	case partition.Sealed:
		return fmt.Errorf("%w: it is sealed", ErrCopyFull)
	}
	return fmt.Errorf("%w: refusal %d", ErrCopyFull, r)
}
