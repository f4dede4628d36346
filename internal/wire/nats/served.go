package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// ServedKind is what a line of a server is.
type ServedKind uint8

// The lines that a server sends.
const (
	ServedNone ServedKind = iota // none that clients know; they ignore it
	ServedMsg                    // MSG and HMSG: Size bytes and CRLF follow
	ServedInfo
	ServedErr
	ServedPing
	ServedPong
	ServedOK
)

// Served is one control line as a server sends it to clients. Its slices point into
// the line.
type Served struct {
	Kind                ServedKind
	Subject, SID, Reply []byte // of a message; Reply is nil where there is none
	Header, Size        int    // bytes of the header block, and of it with the payload
	Arg                 []byte // the document of INFO, or the text of -ERR without quotes
}

// MaxServed bounds the size that a server may announce.
const MaxServed = 128 << 20

// ErrServed says that a line is not one that a server may send.
var ErrServed = errors.New("malformed line from a NATS server")

// ParseServed reads a control line, without its end.
func ParseServed(line []byte) (s Served, err error) {
	line = bytes.TrimRight(line, "\r\n")
	verb, arg, _ := bytes.Cut(line, []byte{' '})
	switch {
	case equal(verb, "MSG"):
		err = s.message(arg, false)
	case equal(verb, "HMSG"):
		err = s.message(arg, true)
	case equal(verb, "INFO"):
		s.Kind, s.Arg = ServedInfo, arg
	case equal(verb, "-ERR"):
		s.Kind, s.Arg = ServedErr, bytes.Trim(arg, "' ")
	case equal(verb, "PING"):
		s.Kind = ServedPing
	case equal(verb, "PONG"):
		s.Kind = ServedPong
	case equal(verb, "+OK"):
		s.Kind = ServedOK
	}
	return s, err
}

// equal compares a verb with upper, in any case.
func equal(verb []byte, upper string) bool {
	return len(verb) == len(upper) && equalFold(verb, upper)
}

// message reads what stands behind MSG and HMSG.
func (s *Served) message(arg []byte, header bool) error {
	var parts [5][]byte
	n := 0
	for f := range bytes.FieldsSeq(arg) {
		if n == len(parts) {
			return ErrServed
		}
		parts[n] = f[:len(f):len(f)]
		n++
	}
	sizes := 1
	if header {
		sizes = 2
	}
	if n != 2+sizes && n != 3+sizes {
		return ErrServed
	}
	s.Kind, s.Subject, s.SID = ServedMsg, parts[0], parts[1]
	if n == 3+sizes {
		s.Reply = parts[2]
	}
	size, ok := served(parts[n-1])
	if header && ok {
		s.Header, ok = served(parts[n-2])
	}
	if s.Size = size; !ok || s.Header > s.Size {
		return ErrServed
	}
	return nil
}

func served(b []byte) (int, bool) {
	if len(b) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 31)
	return int(n), err == nil && n <= MaxServed
}

// AppendConnect appends CONNECT with its document. It allocates.
func AppendConnect(dst []byte, c *Connect) []byte {
	document, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("nats: encode CONNECT: %v", err)) // no field of Connect can fail
	}
	return append(append(append(dst, "CONNECT "...), document...), "\r\n"...)
}

// AppendPub appends a publish without headers. reply may be empty.
func AppendPub(dst, subject, reply, data []byte) []byte {
	dst = append(append(append(dst, "PUB "...), subject...), ' ')
	dst = strconv.AppendUint(appendReply(dst, reply), uint64(len(data)), 10)
	return append(append(append(dst, "\r\n"...), data...), "\r\n"...)
}

// AppendSub appends a subscription without a queue group.
func AppendSub(dst []byte, subject, sid string) []byte {
	dst = append(append(append(dst, "SUB "...), subject...), ' ')
	return append(append(dst, sid...), "\r\n"...)
}

// AppendUnsub appends the end of a subscription.
func AppendUnsub(dst []byte, sid string) []byte {
	return append(append(append(dst, "UNSUB "...), sid...), "\r\n"...)
}
