package jetstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
)

// Pull is a request for messages. Sizes are in bytes, times in nanoseconds.
type Pull struct {
	Batch     int // 0: one, which is not said
	Expires   int64
	NoWait    bool
	MaxBytes  int
	Heartbeat int64

	Group         string
	ID            string // of the pinned client
	MinPending    int64
	MinAckPending int64
	Priority      int // 0 to 9
}

// pullJSON has the keys of a request; it is not strict.
type pullJSON struct {
	Batch         int    `json:"batch"`
	Expires       int64  `json:"expires"`
	NoWait        bool   `json:"no_wait"`
	MaxBytes      int    `json:"max_bytes"`
	Heartbeat     int64  `json:"idle_heartbeat"`
	Group         string `json:"group"`
	ID            string `json:"id"`
	MinPending    int64  `json:"min_pending"`
	MinAckPending int64  `json:"min_ack_pending"`
	Priority      int    `json:"priority"`
}

// Grouped says whether the request uses what only priority groups know.
func (p *Pull) Grouped() bool {
	return p.Group != "" || p.ID != "" || p.MinPending != 0 || p.MinAckPending != 0 || p.Priority != 0
}

// ParsePull reads the body of a pull request: nothing, a number of messages, or
// JSON. A body that is neither asks for one message. ok is false when the JSON is
// wrong or the values contradict each other; the status then says why. The usual
// requests of clients do not allocate.
func ParsePull(body []byte) (p Pull, bad Status, ok bool) {
	b := bytes.Trim(body, jsonSpace)
	switch {
	case len(b) == 0:
		return Pull{Batch: 1}, Status{}, true
	case b[0] != '{':
		return Pull{Batch: numberBatch(b)}, Status{}, true
	}
	p, ok = fastPull(b)
	if !ok {
		var err error
		if p, err = slowPull(b); err != nil {
			return Pull{}, StatusBadPull(err.Error()), false
		}
	}
	p.Batch = max(p.Batch, 0)
	switch {
	case p.Heartbeat > math.MaxInt64/2 || p.Heartbeat > 0 && p.Heartbeat*2 > p.Expires:
		return Pull{}, StatusBadPull("heartbeat value too large"), false
	case p.Priority < 0 || p.Priority > 9:
		return Pull{}, StatusBadPull("Priority must be between 0 and 9"), false
	}
	p.Expires, p.MaxBytes, p.Heartbeat = max(p.Expires, 0), max(p.MaxBytes, 0), max(p.Heartbeat, 0)
	return p, Status{}, true
}

// numberBatch reads a body that is a number of messages.
func numberBatch(b []byte) int {
	n, ok := parseUint(b)
	if !ok || n == 0 || n > math.MaxInt32 {
		return 1
	}
	return int(n)
}

func slowPull(b []byte) (Pull, error) {
	var j pullJSON
	if err := (Decoder{}).bound(b); err != nil {
		return Pull{}, err
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return Pull{}, errors.New(strings.TrimPrefix(invalidJSON(err).Description, "invalid JSON: "))
	}
	return Pull(j), nil
}

// fastPull reads an object of plain numbers and booleans whose keys are known. It
// gives up, so that slowPull decides, on anything else.
func fastPull(b []byte) (p Pull, ok bool) {
	s := scanner{b: b, i: 1}
	if s.skip() == '}' {
		s.i++
		return p, s.end()
	}
	for {
		key, ok := s.key()
		if !ok {
			return Pull{}, false
		}
		if string(key) == "no_wait" {
			p.NoWait, ok = s.boolean()
		} else {
			ok = p.setNumber(key, &s)
		}
		if !ok {
			return Pull{}, false
		}
		switch s.skip() {
		case ',':
			s.i++
		case '}':
			s.i++
			return p, s.end()
		default:
			return Pull{}, false
		}
	}
}

// setNumber stores the number that follows under its key; false for other keys.
func (p *Pull) setNumber(key []byte, s *scanner) bool {
	n, ok := s.number()
	if !ok || int64(int(n)) != n {
		return false
	}
	switch string(key) {
	case "batch":
		p.Batch = int(n)
	case "expires":
		p.Expires = n
	case "max_bytes":
		p.MaxBytes = int(n)
	case "idle_heartbeat":
		p.Heartbeat = n
	case "min_pending":
		p.MinPending = n
	case "min_ack_pending":
		p.MinAckPending = n
	case "priority":
		p.Priority = int(n)
	default:
		return false
	}
	return true
}

// scanner walks over simple JSON.
type scanner struct {
	b []byte
	i int
}

// skip passes spaces and gives the next byte, 0 at the end.
func (s *scanner) skip() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// end says whether nothing but space is left.
func (s *scanner) end() bool { return s.skip() == 0 && s.i == len(s.b) }

// key reads a quoted key without escapes, and the colon after it.
func (s *scanner) key() ([]byte, bool) {
	if s.skip() != '"' {
		return nil, false
	}
	rest := s.b[s.i+1:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 || bytes.IndexByte(rest[:n], '\\') >= 0 {
		return nil, false
	}
	s.i += n + 2
	if s.skip() != ':' {
		return nil, false
	}
	s.i++
	return rest[:n], true
}

// number reads digits that fit 63 bits, without a sign, fraction or leading zero.
func (s *scanner) number() (int64, bool) {
	s.skip()
	start := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		s.i++
	}
	digits := s.b[start:s.i]
	if len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n, ok := parseUint(digits)
	return int64(n), ok && n <= math.MaxInt64
}

// boolean reads true or false.
func (s *scanner) boolean() (v, ok bool) {
	s.skip()
	switch rest := s.b[s.i:]; {
	case bytes.HasPrefix(rest, []byte("true")):
		s.i += 4
		return true, true
	case bytes.HasPrefix(rest, []byte("false")):
		s.i += 5
		return false, true
	}
	return false, false
}
