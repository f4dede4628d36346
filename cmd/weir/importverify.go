package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/internal/record"
)

// digest sums up messages, in any order: two 64-bit halves of each one's SHA-256,
// added up.
type digest [2]uint64

// add adds a message.
func (d *digest) add(v *record.View) {
	h := sha256.New()
	var b [8]byte
	number := func(n uint64) {
		binary.LittleEndian.PutUint64(b[:], n)
		h.Write(b[:])
	}
	number(v.Seq)
	number(uint64(v.Time))
	for _, part := range [][]byte{v.Subject, canonical(v.Header), v.Data} {
		number(uint64(len(part)))
		h.Write(part)
	}
	sum := h.Sum(nil)
	d[0] += binary.LittleEndian.Uint64(sum)
	d[1] += binary.LittleEndian.Uint64(sum[8:])
}

func (d digest) String() string { return fmt.Sprintf("%016x%016x", d[0], d[1]) }

// canonical brings headers into an order. What cannot be read stays as it is.
func canonical(header []byte) []byte {
	if len(header) == 0 {
		return nil
	}
	h, err := nats.DecodeHeadersMsg(header)
	if err != nil {
		return header
	}
	return headerBlock(h)
}

// sameHeader says whether two header blocks have the same names and values.
func sameHeader(a, b []byte) bool {
	return bytes.Equal(a, b) || bytes.Equal(canonical(a), canonical(b))
}

// comparison holds the copy against what was gathered.
type comparison struct {
	maxAge       time.Duration
	interest     bool
	thinned      bool // weir may have removed any
	now          time.Time
	sum          digest // of what weir has
	same         uint64
	expired      uint64 // that weir has removed for their age
	unwanted     uint64 // that weir has removed because no consumer needs them
	gone         uint64 // that weir has removed, as it may
	wrong        uint64
	examples     []string
	next         func() (*record.View, error, bool)
	current      *record.View
	currentError error
}

const mostExamples = 5

func (c *comparison) differ(format string, args ...any) {
	if c.wrong++; c.wrong <= mostExamples {
		c.examples = append(c.examples, fmt.Sprintf(format, args...))
	}
}

// advance takes the next message that was gathered.
func (c *comparison) advance() {
	v, err, ok := c.next()
	c.current, c.currentError = v, err
	if !ok {
		c.current = nil
	}
}

// missing judges a message that was gathered and is not in weir.
func (c *comparison) missing(v *record.View) {
	age := c.now.Sub(time.Unix(0, v.Time))
	switch ttl, ok := timeToLive(v.Header); {
	case c.maxAge > 0 && age >= c.maxAge, ok && age >= ttl:
		c.expired++
	case c.interest:
		c.unwanted++
	case c.thinned:
		c.gone++
	default:
		c.differ("message %d is missing", v.Seq)
	}
}

// see judges a message that weir has.
func (c *comparison) see(v *record.View) error {
	for c.currentError == nil && c.current != nil && c.current.Seq < v.Seq {
		c.missing(c.current)
		c.advance()
	}
	switch {
	case c.currentError != nil:
		return c.currentError
	case c.current == nil || c.current.Seq > v.Seq:
		c.differ("message %d is too many", v.Seq)
		return nil
	}
	was := c.current
	c.sum.add(v)
	if was.Time != v.Time || !bytes.Equal(was.Subject, v.Subject) || !bytes.Equal(was.Data, v.Data) || !sameHeader(was.Header, v.Header) {
		c.differ("message %d is another one", v.Seq)
	} else {
		c.same++
	}
	c.advance()
	return c.currentError
}

// end judges what is left.
func (c *comparison) end() error {
	for c.currentError == nil && c.current != nil {
		c.missing(c.current)
		c.advance()
	}
	return c.currentError
}

// timeToLive is how long a message lives by its header.
func timeToLive(header []byte) (time.Duration, bool) {
	if !bytes.Contains(header, []byte(jetstream.MsgTTLHeader)) {
		return 0, false
	}
	h, err := nats.DecodeHeadersMsg(header)
	if err != nil {
		return 0, false
	}
	s := h.Get(jetstream.MsgTTLHeader)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		return time.Duration(n) * time.Second, true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d > 0
}

// verify reads the copy back and compares it with what was gathered.
func (m *importing) verify(ctx context.Context) error {
	first, err := m.dst.reaches(ctx, m.info.Name(), m.head.Last)
	if err != nil {
		return err
	}
	known := &m.info.known
	c := &comparison{maxAge: known.MaxAge, interest: known.Retention == jetstream.InterestPolicy, now: time.Now()}
	of := &copied{dst: m.dst, stream: m.info.Name(), first: max(first, 1), last: m.head.Last, records: m.head.Records, policy: known.Retention}
	if err := c.readBack(ctx, of, m.gathered(), m.progressOf("verifying")); err != nil {
		return err
	}
	m.out.Digest = c.sum.String()
	if c.expired > 0 {
		m.out.note("%s have reached the stream's age meanwhile", plural(c.expired, "message", "messages"))
	}
	if c.unwanted > 0 {
		m.out.note("%s are left out: no consumer that was carried over needs them", plural(c.unwanted, "message", "messages"))
	}
	return c.verdict("the source")
}

// errStop ends the reading of what was gathered.
var errStop = errors.New("enough")

// gathered gives what was gathered, a message at a time.
func (m *importing) gathered() iter.Seq2[*record.View, error] {
	return func(yield func(*record.View, error) bool) {
		err := m.each(func(v *record.View) error {
			if !yield(v, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(nil, err)
		}
	}
}

// compareConsumers holds the consumers of the copy against those of the source.
func (m *importing) compareConsumers(ctx context.Context) error {
	if len(m.carried) == 0 {
		return nil
	}
	list, err := m.dst.consumers(ctx, m.info.Name())
	if err != nil {
		return fmt.Errorf("list the consumers of the copy: %w", err)
	}
	by := map[string]*consumerFacts{}
	for _, c := range list {
		by[c.Name] = c
	}
	for _, c := range m.carried {
		got := by[c.facts.Name]
		switch {
		case got == nil:
			return fmt.Errorf("the copy has no consumer %s", c.facts.Name)
		case got.Delivered.Stream < c.state.Delivered.Stream || got.AckFloor.Stream < c.state.Floor.Stream:
			return fmt.Errorf("consumer %s is at %d, acknowledged up to %d, instead of %d and %d",
				c.facts.Name, got.Delivered.Stream, got.AckFloor.Stream, c.state.Delivered.Stream, c.state.Floor.Stream)
		}
	}
	return nil
}
