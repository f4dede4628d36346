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

// renewKey begins a new key: each process has one of its own, and each life of a
// file. A first batch that was begun to be encrypted before the file was known has
// the one before.
func (j *Journal) renewKey() {
	if j.opts.Keys == nil {
		return
	}
	s := j.opts.Keys.Sealer(keyPurpose)
	w := &j.w
	w.gathering.Lock()
	defer w.gathering.Unlock()
	w.sealer = s
	if w.batch.body.Fresh() {
		w.sealer.Begin(&w.batch.body)
	}
}

// begin takes the key for a batch that has no entry yet.
func (b *gathered) begin(s *atrest.Sealer) {
	if s != nil && len(b.dir) == 0 {
		s.Begin(&b.body)
	}
}

// encryptFull encrypts what will not move any more, so that it is done while the
// disk is busy.
func (b *gathered) encryptFull() {
	if b.seals && b.data >= max(b.apart, atrest.BodyPiece) {
		b.body.Seal(b.buf[b.head : b.head+b.data])
	}
}

// encrypt encrypts the rest of the data of a batch whose header and directory are
// written.
func (b *gathered) encrypt(h *header, out []byte) {
	directory := out[headerSize:][:len(b.dir)]
	envelope := out[headerSize+len(b.dir) : h.headLen()]
	b.bound = bound(b.bound[:0], out, directory)
	b.body.Finish(envelope, out[h.dataOff():][:b.data], b.bound)
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
