package leaf

import (
	"bytes"
	"errors"
	"math"
)

// Limits where a Parser names none.
const (
	DefaultMaxLine    = 256 << 10
	DefaultMaxPayload = 64 << 20
)

// Errors of Parse. The connection is of no use afterwards.
var (
	ErrLine      = errors.New("control line too long")
	ErrPayload   = errors.New("message too large")
	ErrVerb      = errors.New("unknown operation")
	ErrArguments = errors.New("malformed arguments")
	ErrEnd       = errors.New("message without its end")
)

// Parser reads the other side's operations. It holds the limits and no other state.
type Parser struct {
	MaxLine    int // bytes of a control line; 0: DefaultMaxLine
	MaxPayload int // bytes of a header block and payload together; 0: DefaultMaxPayload
}

// Parse parses the operation at the start of buf into op. Exactly one of three things
// is true: n > 0, and *op stands in buf[:n]; need > len(buf), and Parse is to be called
// again once the buffer holds need bytes; or err says what is wrong. need is exact where
// only a payload is missing, and otherwise len(buf)+1. How the bytes were cut into
// buffers changes no result. Without an operation *op is unspecified.
func (p *Parser) Parse(op *Op, buf []byte) (n, need int, err error) {
	end := bytes.IndexByte(buf, '\n')
	if most := limit(p.MaxLine, DefaultMaxLine); end < 0 && len(buf) > most || end > most {
		return 0, 0, ErrLine
	}
	if end < 0 {
		return 0, len(buf) + 1, nil
	}
	line := bytes.TrimSuffix(buf[:end:end], []byte{'\r'})
	verb, args := cutVerb(line)
	kind, header, ok := kindOf(verb)
	if !ok {
		return 0, 0, ErrVerb
	}
	*op = Op{Kind: kind, Groups: op.Groups[:0]}
	switch kind {
	case OpMsg:
		return p.message(op, buf, args, header, end+1)
	case OpSub:
		err = op.interest(args)
	case OpUnsub:
		err = op.disinterest(args)
	case OpInfo, OpConnect:
		op.Arg = bytes.TrimSpace(args)
	case OpErr:
		op.Arg = bytes.Trim(args, "' \t")
	}
	if err != nil {
		return 0, 0, err
	}
	return end + 1, 0, nil
}

func limit(configured, otherwise int) int {
	if configured <= 0 {
		return otherwise
	}
	return configured
}

func cutVerb(line []byte) (verb, args []byte) {
	for i, c := range line {
		if c == ' ' || c == '\t' {
			return line[:i], line[i+1:]
		}
	}
	return line, nil
}

func kindOf(verb []byte) (kind Kind, header, ok bool) {
	for i := range verbs {
		if name := verbs[i].name; len(verb) == len(name) && equalFold(verb, name) {
			return verbs[i].kind, name[0] == 'H', true
		}
	}
	return 0, false, false
}

// equalFold compares b with upper, of the same length, whose letters are in upper case.
func equalFold(b []byte, upper string) bool {
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// next takes the first argument off args; it is nil where there is none.
func next(args []byte) (arg, rest []byte) {
	i := 0
	for i < len(args) && isSpace(args[i]) {
		i++
	}
	from := i
	for i < len(args) && !isSpace(args[i]) {
		i++
	}
	if i == from {
		return nil, nil
	}
	return args[from:i:i], args[i:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

func (op *Op) interest(args []byte) error {
	op.Subject, args = next(args)
	op.Queue, args = next(args)
	weight, args := next(args)
	if extra, _ := next(args); op.Subject == nil || extra != nil || (op.Queue == nil) != (weight == nil) {
		return ErrArguments
	}
	if weight == nil {
		return nil
	}
	n, ok := number(weight)
	if !ok || n < 1 || n > math.MaxInt32 {
		return ErrArguments
	}
	op.Weight = int32(n)
	return nil
}

func (op *Op) disinterest(args []byte) error {
	op.Subject, args = next(args)
	op.Queue, args = next(args)
	if extra, _ := next(args); op.Subject == nil || extra != nil {
		return ErrArguments
	}
	return nil
}

// maxDigits is how many digits a number may have.
const maxDigits = 9

func number(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > maxDigits {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// message reads the arguments of LMSG and HMSG and what follows their line, which ends
// at data. It gives what Parse gives.
func (p *Parser) message(op *Op, buf, args []byte, header bool, data int) (n, need int, err error) {
	rest, head, total, ok := sizes(args, header)
	if !ok || !op.route(rest) {
		return 0, 0, ErrArguments
	}
	if total > limit(p.MaxPayload, DefaultMaxPayload) {
		return 0, 0, ErrPayload
	}
	end := data + total
	if n = end + len("\r\n"); n > len(buf) {
		return 0, n, nil
	}
	if buf[end] != '\r' || buf[end+1] != '\n' {
		return 0, 0, ErrEnd
	}
	if head > 0 {
		op.Header = buf[data : data+head : data+head]
	}
	op.Data = buf[data+head : end : end]
	op.tail(buf, header, data, n)
	return n, 0, nil
}

// sizes takes the numbers off the end of the arguments.
func sizes(args []byte, header bool) (rest []byte, head, total int, ok bool) {
	rest, last := cutLast(args)
	if total, ok = number(last); !ok || !header {
		return rest, 0, total, ok
	}
	rest, last = cutLast(rest)
	head, ok = number(last)
	return rest, head, total, ok && head > 0 && head <= total
}

// cutLast takes the last argument off args.
func cutLast(args []byte) (rest, last []byte) {
	end := len(args)
	for end > 0 && isSpace(args[end-1]) {
		end--
	}
	from := end
	for from > 0 && !isSpace(args[from-1]) {
		from--
	}
	return args[:from], args[from:end:end]
}

// route reads what stands before the sizes of a message.
func (op *Op) route(args []byte) bool {
	var second []byte
	op.Subject, args = next(args)
	second, args = next(args)
	switch {
	case op.Subject == nil:
		return false
	case second == nil:
		return true
	case len(second) != 1 || second[0] != '+' && second[0] != '|':
		op.Reply = second
		extra, _ := next(args)
		return extra == nil
	case second[0] == '+':
		if op.Reply, args = next(args); op.Reply == nil {
			return false
		}
	}
	for {
		var group []byte
		if group, args = next(args); group == nil {
			return true
		}
		op.Groups = append(op.Groups, group)
	}
}

// tail sets Tail where the line, which ends at data, has single spaces and CRLF.
func (op *Op) tail(buf []byte, header bool, data, n int) {
	if len(op.Groups) > 0 || data < 2 || buf[data-2] != '\r' {
		return
	}
	from := len("LMSG ") + len(op.Subject) + 1
	spaces := 1
	if op.Reply != nil {
		spaces++
	}
	if header {
		spaces++
	}
	line := buf[:data-2]
	if bytes.Count(line, []byte{' '}) != spaces+1 || bytes.IndexByte(line, '\t') >= 0 || bytes.IndexByte(line, '\r') >= 0 || padded(line) {
		return
	}
	op.Tail = buf[from:n:n]
}

// padded says whether the size at the end of a line is written with a zero too many.
func padded(line []byte) bool {
	_, last := cutLast(line)
	return len(last) > 1 && last[0] == '0'
}
