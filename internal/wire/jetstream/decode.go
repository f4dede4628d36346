package jetstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// MaxDepth is how deep the JSON of a request may be nested.
const MaxDepth = 64

// MaxElements is how many commas the JSON of a request may have, and so how many
// elements: each takes more memory than it has bytes.
const MaxElements = 1 << 18

// DefaultMaxBody bounds a request's body where the Decoder names no limit: 8 MiB.
const DefaultMaxBody = 8 << 20

// Decoder reads the JSON bodies of requests. Size and nesting are checked before
// anything is built, so that garbage costs little. The zero value is strict.
type Decoder struct {
	MaxBody int  // bytes; 0 is DefaultMaxBody
	Lenient bool // unknown keys are ignored instead of refused
}

// Required reads a body that must be there into v, a pointer. Errors are of number
// 10025; v may be partly filled then.
func (d Decoder) Required(body []byte, v any) *Error {
	if err := d.bound(body); err != nil {
		return invalidJSON(err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if !d.Lenient {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("unexpected end of JSON input")
		}
		return invalidJSON(err)
	}
	if len(bytes.TrimLeft(body[dec.InputOffset():], jsonSpace)) != 0 {
		return invalidJSON(errors.New("data after the end of JSON input"))
	}
	return nil
}

// filled reads a body that may be missing altogether: then v is left as it is, and
// what it does not say is the error.
func (d Decoder) filled(body []byte, v any) *Error {
	if len(body) == 0 {
		return nil
	}
	return d.Required(body, v)
}

// Optional reads a body only if its first byte other than space begins an object
// or an array; anything else counts as no body.
func (d Decoder) Optional(body []byte, v any) *Error {
	b := bytes.TrimLeft(body, jsonSpace)
	if len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return nil
	}
	return d.Required(body, v)
}

// Empty refuses a body that says something: only nothing and an empty object are
// accepted. The error is number 10038.
func (d Decoder) Empty(body []byte) *Error {
	b := bytes.Trim(body, jsonSpace)
	if len(b) == 0 {
		return nil
	}
	if b[0] == '{' && b[len(b)-1] == '}' && len(b) > 1 && len(bytes.Trim(b[1:len(b)-1], jsonSpace)) == 0 {
		return nil
	}
	return Err(CodeNotEmptyRequest)
}

const jsonSpace = " \t\r\n"

var (
	errBodyTooLarge = errors.New("request body too large")
	errTooDeep      = errors.New("exceeded max depth")
	errTooMany      = errors.New("too many elements")
)

// bound checks size, nesting and number of elements in one pass over the bytes.
func (d Decoder) bound(body []byte) error {
	limit := d.MaxBody
	if limit <= 0 {
		limit = DefaultMaxBody
	}
	if len(body) > limit {
		return errBodyTooLarge
	}
	depth, commas, quoted := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return errTooDeep
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			if commas++; commas > MaxElements {
				return errTooMany
			}
		}
	}
	return nil
}

// invalidJSON puts a decoder's error into words of the wire: Go's names of types
// stay inside.
func invalidJSON(err error) *Error {
	text := err.Error()
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		text = "json: cannot unmarshal " + te.Value
		if te.Field != "" {
			text += " into field " + te.Field
		}
	}
	const most = 256
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return ErrWith(CodeInvalidJSON, "err", text)
}

// Encode gives the JSON of a response of this package.
func Encode(response any) []byte {
	b, err := json.Marshal(response)
	if err != nil {
		panic("jetstream: encode response: " + err.Error())
	}
	return b
}
