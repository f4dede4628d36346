package jetstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
)

// Errors of counters.
const (
	CodeIncrDisabled  = 10168
	CodeIncrMissing   = 10169
	CodeIncrPayload   = 10170
	CodeIncrInvalid   = 10171
	CodeCounterBroken = 10172
)

// Counter is the total that a message of a counter stream says: that of all
// increments on its subject. Totals are whole numbers of any size. A counter never
// changes.
type Counter struct {
	value big.Int
	// sources are the totals that were taken over from other streams, by the stream
	// and the subject there.
	sources map[string]map[string]string
	text    string // the value
}

var errCounter = errors.New("not the message of a counter")

// counterBody is the body of a counter's message.
type counterBody struct {
	Value string `json:"val"`
}

// ReadCounter reads a stored message.
func ReadCounter(header, data []byte) (*Counter, error) {
	c := &Counter{}
	if !c.setValue(data) {
		return nil, errCounter
	}
	h := ParsePublishHeader(header)
	if h.Has(KeyCounterSources) && json.Unmarshal(h.CounterSources, &c.sources) != nil {
		return nil, errCounter
	}
	return c, nil
}

// setValue reads the body of a counter's message.
func (c *Counter) setValue(data []byte) bool {
	var b counterBody
	if json.Unmarshal(data, &b) != nil {
		return false
	}
	if _, ok := c.value.SetString(b.Value, 10); !ok {
		return false
	}
	c.text = c.value.String()
	return true
}

// Text is the total in decimal digits.
func (c *Counter) Text() string { return c.text }

// Body is that of the message that says the total.
func (c *Counter) Body() []byte { return []byte(`{"val":"` + c.text + `"}`) }

// Add gives the counter after a message, and the header block that is stored with
// it; c may be nil: then there was none before. What a source brings is not its
// increment but its total there, of which only the difference to what was taken
// over before is added. The header block is not changed.
func (c *Counter) Add(subject, header, data []byte) (*Counter, []byte, *Error) {
	h := ParsePublishHeader(header)
	if !h.Has(KeyIncr) {
		return nil, nil, Err(CodeIncrMissing)
	}
	next := &Counter{}
	if c != nil {
		next.sources = c.sources
	}
	var delta big.Int
	if h.Has(KeyStreamSource) {
		if !next.takeOver(&delta, &h, subject, data) {
			return nil, nil, Err(CodeCounterBroken)
		}
		header = withLine(header, "Nats-Incr", []byte(delta.String()))
	} else if _, ok := delta.SetString(string(h.Incr), 10); !ok {
		return nil, nil, Err(CodeIncrInvalid)
	}
	next.value.Set(&delta)
	if c != nil {
		next.value.Add(&c.value, &delta)
	}
	next.text = next.value.String()
	if len(next.sources) > 0 {
		b, err := json.Marshal(next.sources)
		if err != nil {
			panic("jetstream: sources of a counter do not encode: " + err.Error())
		}
		header = withLine(header, "Nats-Counter-Sources", b)
	} else if h.Has(KeyCounterSources) {
		header = withoutLine(header, "Nats-Counter-Sources")
	}
	return next, header, nil
}

// takeOver notes the total of a source, and gives in delta by how much it has grown.
func (c *Counter) takeOver(delta *big.Int, h *PublishHeader, subject, data []byte) bool {
	var there Counter
	if !there.setValue(data) {
		return false
	}
	fields := bytes.Fields(h.StreamSource)
	origin := string(fields[0])
	if len(fields) >= 5 {
		subject = fields[4]
	}
	var before big.Int
	if text, ok := c.sources[origin][string(subject)]; ok {
		if _, ok := before.SetString(text, 10); !ok {
			return false
		}
	}
	delta.Sub(&there.value, &before)
	sources := maps.Clone(c.sources)
	if sources == nil {
		sources = map[string]map[string]string{}
	}
	subjects := maps.Clone(sources[origin])
	if subjects == nil {
		subjects = map[string]string{}
	}
	subjects[string(subject)] = there.text
	sources[origin] = subjects
	c.sources = sources
	return true
}

// RefuseIncr refuses an increment that cannot be read, that the stream does not
// count, that comes with a body of size bytes or with conditions.
func (h *PublishHeader) RefuseIncr(c *StreamConfig, size int) *Error {
	if !h.Has(KeyIncr) {
		return nil
	}
	var delta big.Int
	const others = KeyRollup | KeyExpectedStream | KeyExpectedLastMsgID | KeyExpectedLastSeq | KeyExpectedLastSubjectSeq | KeyExpectedLastSubjectSeqSubject
	_, ok := delta.SetString(string(h.Incr), 10)
	switch {
	case !ok:
		return Err(CodeIncrInvalid)
	case !c.AllowMsgCounter:
		return Err(CodeIncrDisabled)
	case size > 0:
		return Err(CodeIncrPayload)
	case h.Has(others):
		return Err(CodeIncrInvalid)
	}
	return nil
}

// withLine gives a copy of a header block with the value of a key set: in place of
// its lines, or at the end.
func withLine(block []byte, key string, value []byte) []byte {
	out := withoutLine(block, key)
	if len(out) == 0 {
		out = []byte("NATS/1.0\r\n\r\n")
	}
	out = append(bytes.TrimSuffix(out, []byte("\r\n")), key...)
	out = append(append(append(out, ": "...), value...), "\r\n\r\n"...)
	return out
}

// withoutLine gives a copy of a header block without the lines of a key.
func withoutLine(block []byte, key string) []byte {
	out := make([]byte, 0, len(block)+len(key)+32)
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n') + 1
		if end == 0 {
			end = len(block)
		}
		line := block[:end]
		block = block[end:]
		if len(line) > len(key) && string(line[:len(key)]) == key && line[len(key)] == ':' {
			continue
		}
		out = append(out, line...)
	}
	return out
}
