package nats

import (
	"bytes"
	"strconv"
)

// AppendStatus appends a header block with a status line, "NATS/1.0 code" and the
// description unless that is empty. headers are pairs of key and value.
func AppendStatus(dst []byte, code int, description string, headers ...string) []byte {
	if len(headers)%2 != 0 {
		panic("nats: header without a value")
	}
	dst = append(dst, "NATS/1.0 "...)
	dst = strconv.AppendInt(dst, int64(code), 10)
	if description != "" {
		dst = append(append(dst, ' '), description...)
	}
	dst = append(dst, "\r\n"...)
	for i := 0; i < len(headers); i += 2 {
		dst = append(append(dst, headers[i]...), ": "...)
		dst = append(append(dst, headers[i+1]...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// HeaderValue gives the first value of key in a header block, without the spaces
// around it, or nil where there is none. Keys are case-sensitive. The value points
// into hdr; an empty one is not nil.
func HeaderValue(hdr []byte, key string) []byte {
	_, rest, _ := bytes.Cut(hdr, []byte{'\n'}) // the version or status line
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		if len(line) > len(key) && line[len(key)] == ':' && string(line[:len(key)]) == key {
			return trim(line[len(key)+1:])
		}
	}
	return nil
}

// trim takes off what separates. Unlike bytes.Trim it never gives nil.
func trim(value []byte) []byte {
	for len(value) > 0 && isSeparator(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && isSeparator(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

// AppendHeaderWith appends a header block with one more key, in the place of all
// lines that have this key already. hdr may be empty.
func AppendHeaderWith(dst, hdr []byte, key string, value []byte) []byte {
	version, rest, _ := bytes.Cut(hdr, []byte("\r\n"))
	if len(version) == 0 {
		version = []byte("NATS/1.0")
	}
	dst = append(append(dst, version...), "\r\n"...)
	for len(rest) > 0 {
		var line []byte
		if line, rest, _ = bytes.Cut(rest, []byte("\r\n")); len(line) == 0 {
			break
		}
		if len(line) <= len(key) || line[len(key)] != ':' || string(line[:len(key)]) != key {
			dst = append(append(dst, line...), "\r\n"...)
		}
	}
	dst = append(append(append(dst, key...), ": "...), value...)
	return append(dst, "\r\n\r\n"...)
}
