package journal

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/atrest"
)

// keyPurpose separates the journal's keys from those of other files.
const keyPurpose = "journal"

// envelopeLen is the length of what is needed to decrypt the data.
func (h *header) envelopeLen() int64 {
	if h.flags&flagEncrypted == 0 {
		return 0
	}
	return int64(atrest.EnvelopeLen(int(h.dataLen)))
}

// bound appends what encrypted data is bound to: identity, generation and number
// of its batch, and the directory.
func bound(dst, head, directory []byte) []byte {
	return append(append(dst, head[8:32]...), directory...)
}

// sealerFor gives the key for a batch in the file that is written to. Each life of
// a file has one of its own, and so has each process.
func (w *writer) sealerFor(j *Journal, f *file) *atrest.Sealer {
	if w.sealer == nil || w.sealed != f.generation {
		w.sealer, w.sealed = j.opts.Keys.Sealer(keyPurpose), f.generation
	}
	return w.sealer
}

// encrypt encrypts the data of a batch whose header and directory are written.
func (b *gathered) encrypt(h *header, out []byte, s *atrest.Sealer) {
	directory := out[headerSize:][:len(b.dir)]
	envelope := out[headerSize+len(b.dir) : h.headLen()]
	b.bound = bound(b.bound[:0], out, directory)
	s.SealBody(envelope, out[h.dataOff():][:b.data], b.bound)
}

// decrypt replaces encrypted data by what it was, in a buffer of the window. Pieces
// of it that are damaged are noted in the batch.
func (r *reader) decrypt(off int64, b *batch) (bad, err error) {
	if b.flags&flagEncrypted == 0 {
		return nil, nil
	}
	w := r.win
	if w.opener == nil {
		w.opener = (*atrest.Keyring)(nil).Opener(keyPurpose)
	}
	if len(w.plain) < len(b.data) {
		w.plain = make([]byte, max(len(b.data), MaxBatch))
	}
	w.bound = bound(w.bound[:0], b.head, b.directory)
	plain := w.plain[:len(b.data)]
	b.lost, err = w.opener.Body(plain, b.envelope, b.data, w.bound)
	switch {
	case errors.Is(err, atrest.ErrNoKey):
		return nil, fmt.Errorf("journal file %s at %d: %w: configure the key that it was written with; nothing was changed", r.name, off, err)
	case errors.Is(err, atrest.ErrUnknown):
		return nil, fmt.Errorf("journal file %s at %d: %w", r.name, off, err)
	case err != nil:
		b.directory = nil // nothing of it is to be salvaged
		return errChecksum, nil
	}
	b.data = plain
	return nil, nil
}

// keeps says whether all of n bytes of decrypted data from an offset on are good.
func (b *batch) keeps(off, n int) bool {
	if n == 0 {
		return true
	}
	for _, piece := range b.lost {
		if piece >= atrest.PieceOf(off) && piece <= atrest.PieceOf(off+n-1) {
			return false
		}
	}
	return true
}
