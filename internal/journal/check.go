package journal

import (
	"fmt"
	"log/slog"

	"github.com/weirmq/weir/internal/vfs"
)

// Check reads a journal as Open does and gives its entries to replay, but changes
// nothing: nothing is cut, and files that are not finished stay. Of o it needs FS,
// Dir and Identity. Damage is in the result; it ends the reading no more than
// OnDamage wants. The error is for a disk that does not read, and for files of
// another identity or a newer format.
func Check(o Options, replay func(Entry) error) (*Recovery, error) {
	if o.OnDamage == nil {
		o.OnDamage = func(*DamageError) error { return nil }
	}
	j := &Journal{opts: o, log: slog.New(slog.DiscardHandler)}
	r := recovery{j: j, replay: replay, leave: true}
	r.window.opener = o.Keys.Opener(keyPurpose)
	err := r.open()
	if err == nil {
		err = r.findLive()
	}
	if err == nil {
		err = r.follow()
	}
	for _, f := range j.ready {
		_ = f.close() // it was only read
	}
	if err != nil {
		return nil, fmt.Errorf("check journal: %w", err)
	}
	j.recovered.End = r.end()
	return &j.recovered, nil
}

// end is where the chain ends.
func (r *recovery) end() Position {
	if len(r.live) == 0 {
		return Position{}
	}
	return Position{File: r.live[r.at].file.name, Offset: r.off, Batch: r.number}
}

// Position is a place in the journal: where a batch is, or would be.
type Position struct {
	File   string
	Offset int64
	Batch  uint64
}

// AgreedIdentity gives the identity that the first batches of all files in a
// journal's directory agree on; any is false if no file has a batch there. It is
// ErrForeign if they do not agree.
func AgreedIdentity(fs vfs.FS, dir string) (id uint64, any bool, err error) {
	return agreedIdentity(fs, dir)
}
