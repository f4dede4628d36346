package liftbridge

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// Lines of a header block that are not a header of the same name.
const (
	KeyLine       = "Weir-Key"           // the key, where it is a line's text
	KeyBinaryLine = "Weir-Key-Base64"    // the key in base64
	BinaryLine    = "Weir-Header-Base64" // name and value of a header, both in base64
)

// Headers that every delivered message has: its subject and its reply subject. A
// publisher cannot set them.
const (
	SubjectHeader = "subject"
	ReplyHeader   = "reply"
)

// noName stands for a name without a letter.
const noName = "-"

const blockStart = "NATS/1.0\r\n"

var encoding = base64.StdEncoding

// AppendHeaderBlock appends the header block of a message with a key and headers.
// It appends nothing where there are neither.
func AppendHeaderBlock(dst, key []byte, headers []Header) []byte {
	start := len(dst)
	dst = append(dst, blockStart...)
	switch {
	case len(key) == 0:
	case isText(key):
		dst = appendLine(dst, KeyLine, key)
	default:
		dst = append(append(dst, KeyBinaryLine...), ": "...)
		dst = append(encoding.AppendEncode(dst, key), "\r\n"...)
	}
	again := repeats(headers)
	for i, h := range headers {
		switch {
		case string(h.Name) == SubjectHeader || string(h.Name) == ReplyHeader || again(i):
		case isName(h.Name) && isText(h.Value):
			dst = appendLine(dst, string(h.Name), h.Value)
		default:
			dst = append(append(dst, BinaryLine...), ": "...)
			if len(h.Name) == 0 {
				dst = append(dst, noName...)
			}
			dst = append(encoding.AppendEncode(dst, h.Name), ' ')
			dst = append(encoding.AppendEncode(dst, h.Value), "\r\n"...)
		}
	}
	if len(dst) == start+len(blockStart) {
		return dst[:start]
	}
	return append(dst, "\r\n"...)
}

func appendLine(dst []byte, name string, value []byte) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// fewHeaders is up to how many headers are searched one by one.
const fewHeaders = 24

// repeats gives what says whether a later header has the name of header i.
func repeats(headers []Header) func(i int) bool {
	if len(headers) <= fewHeaders {
		return func(i int) bool { return find(headers[i+1:], headers[i].Name) >= 0 }
	}
	last := make(map[string]int, len(headers))
	for i, h := range headers {
		last[string(h.Name)] = i
	}
	return func(i int) bool { return last[string(headers[i].Name)] != i }
}

func find(headers []Header, name []byte) int {
	for i := range headers {
		if bytes.Equal(headers[i].Name, name) {
			return i
		}
	}
	return -1
}

// isName says whether a header's name can be that of a line.
func isName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' || c == ':' {
			return false
		}
	}
	switch string(b) {
	case "", KeyLine, KeyBinaryLine, BinaryLine:
		return false
	}
	return true
}

// isText says whether a value reads the same from a line.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b) && len(trim(b)) == len(b)
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t\r\n\f\v") }

// DecodeHeaderBlock reads a header block of any origin: the key, and the headers as
// they are appended to dst. What is not a line of a header is passed over. The
// slices point into the block where they can.
func DecodeHeaderBlock(dst []Header, block []byte) (key []byte, headers []Header) {
	_, rest, _ := bytes.Cut(block, []byte{'\n'})
	c := collector{headers: dst, from: len(dst)}
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok || len(name) == 0 {
			continue
		}
		h := Header{Name: name, Value: trim(value)}
		switch string(name) {
		case KeyLine:
			key = h.Value
			continue
		case KeyBinaryLine:
			if b, err := decode(h.Value); err == nil {
				key = b
				continue
			}
		case BinaryLine:
			if b, ok := decodeBinary(h.Value); ok {
				c.set(b)
				continue
			}
		}
		c.add(h)
	}
	return key, c.headers
}

// collector gathers headers, each name once.
type collector struct {
	headers []Header
	from    int
	at      map[string]int // of many
	joined  map[int]bool   // whose value is no part of the block
}

func (c *collector) find(name []byte) int {
	if len(c.headers)-c.from <= fewHeaders {
		if i := find(c.headers[c.from:], name); i >= 0 {
			return c.from + i
		}
		return -1
	}
	if c.at == nil {
		c.at = map[string]int{}
		for i := c.from; i < len(c.headers); i++ {
			c.at[string(c.headers[i].Name)] = i
		}
	}
	if i, ok := c.at[string(name)]; ok {
		return i
	}
	return -1
}

// set gives a header its value.
func (c *collector) set(h Header) {
	if i := c.find(h.Name); i >= 0 {
		c.headers[i].Value = h.Value
		return
	}
	if c.at != nil {
		c.at[string(h.Name)] = len(c.headers)
	}
	c.headers = append(c.headers, h)
}

// add gives a header a further value.
func (c *collector) add(h Header) {
	i := c.find(h.Name)
	if i < 0 {
		c.set(h)
		return
	}
	if c.joined == nil {
		c.joined = map[int]bool{}
	}
	v := c.headers[i].Value
	if !c.joined[i] {
		c.joined[i] = true
		v = v[:len(v):len(v)]
	}
	c.headers[i].Value = append(append(v, "\r\n"...), h.Value...)
}

// decodeBinary reads the value of a BinaryLine.
func decodeBinary(line []byte) (Header, bool) {
	name, value, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		value = nil
	}
	if string(name) == noName {
		name = nil
	}
	n, err := decode(name)
	if err != nil {
		return Header{}, false
	}
	v, err := decode(value)
	return Header{Name: n, Value: v}, err == nil && utf8.Valid(n)
}

func decode(b []byte) ([]byte, error) {
	out := make([]byte, encoding.DecodedLen(len(b)))
	n, err := encoding.Decode(out, b)
	return out[:n], err
}
