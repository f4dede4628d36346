package fb

import (
	"fmt"

	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// Bounds of what one batch says, whatever its length.
const (
	MaxMessages = 16 << 10
	MaxHeaders  = 256 << 10
)

// NewMessage is a message that a client publishes. Its slices point into the batch.
type NewMessage struct {
	Stream    []byte
	Partition int32
	wire.Message
	// Size is the length of all that it says, bytes.
	Size int
}

// PublishBatch is what a client publishes at once. Its messages are read in order.
type PublishBatch struct {
	b       []byte
	at      int // of the next message's reference
	left    int
	budget  int
	headers []wire.Header
	many    int // headers so far
}

// Fields of the tables.
const (
	batchMessages = 0

	newStream      = 0
	newPartition   = 1
	newKey         = 2
	newValue       = 3
	newHeaders     = 4
	newCorrelation = 5
	newPolicy      = 6
	newOffset      = 7

	headerName  = 0
	headerValue = 1
)

// DecodePublish opens a batch, whose messages may say no more than budget bytes
// together. An error wraps ErrMalformed or ErrLimit.
func DecodePublish(b []byte, budget int) (PublishBatch, error) {
	t, err := root(b)
	if err != nil {
		return PublishBatch{}, err
	}
	r := reader{table: t}
	first, n := r.vector(batchMessages, sizeOffset)
	switch {
	case r.err != nil:
		return PublishBatch{}, r.err
	case n > MaxMessages:
		return PublishBatch{}, fmt.Errorf("%w: %d messages", ErrLimit, n)
	}
	return PublishBatch{b: b, at: first, left: n, budget: budget}, nil
}

// Len is how many messages are left.
func (p *PublishBatch) Len() int { return p.left }

// DecodeNext reads the next message, of which there is one, into m. An error wraps
// ErrMalformed or ErrLimit.
func (p *PublishBatch) DecodeNext(m *NewMessage) error {
	r, err := element(p.b, p.at)
	if err != nil {
		return err
	}
	p.at += sizeOffset
	p.left--
	*m = NewMessage{
		Stream: r.text(newStream), Partition: r.int32(newPartition),
		Message: wire.Message{
			Key: r.bytes(newKey), Value: r.bytes(newValue), CorrelationID: r.text(newCorrelation),
			AckPolicy: wire.AckPolicy(r.byte(newPolicy)), Offset: r.int64(newOffset, -1),
		},
	}
	first, n := r.vector(newHeaders, sizeOffset)
	if r.err != nil {
		return r.err
	}
	if err := p.spend(m, len(m.Stream)+len(m.Key)+len(m.Value)+len(m.CorrelationID)); err != nil {
		return err
	}
	return p.addHeaders(m, first, n)
}

// spend counts what a message says. It comes before more is read, as a few bytes that
// are referred to often can be long in all.
func (p *PublishBatch) spend(m *NewMessage, n int) error {
	m.Size += n
	if p.budget -= n; p.budget < 0 {
		return fmt.Errorf("%w: its messages say too much", ErrLimit)
	}
	return nil
}

// addHeaders reads a message's headers into the batch's.
func (p *PublishBatch) addHeaders(m *NewMessage, first, n int) error {
	if p.many += n; p.many > MaxHeaders {
		return fmt.Errorf("%w: more than %d headers", ErrLimit, MaxHeaders)
	}
	from := len(p.headers)
	for i := range n {
		r, err := element(p.b, first+i*sizeOffset)
		if err != nil {
			return err
		}
		h := wire.Header{Name: r.text(headerName), Value: r.bytes(headerValue)}
		if r.err != nil {
			return r.err
		}
		if err := p.spend(m, len(h.Name)+len(h.Value)); err != nil {
			return err
		}
		p.headers = append(p.headers, h)
	}
	m.Headers = p.headers[from:len(p.headers):len(p.headers)]
	return nil
}
