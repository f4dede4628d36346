package nats

import "bytes"

// general reads what the scanners of canonical publishes leave over: every other
// verb, every other way to write a publish, and what is incomplete or wrong.
func (p *Parser) general(op *Op, buf []byte) (n, need int, err error) {
	v, possible := findVerb(buf)
	if v == nil {
		if !possible {
			return 0, 0, ErrUnknownOperation
		}
		return 0, len(buf) + 1, nil
	}
	if len(buf) > len(v.name) && !v.mayPrecede(buf[len(v.name)]) {
		return 0, 0, ErrUnknownOperation
	}
	args, n, err := p.controlLine(buf, len(v.name))
	if err != nil {
		return 0, 0, err
	}
	if n == 0 {
		return 0, len(buf) + 1, nil
	}
	*op = Op{Kind: v.kind}
	if v.kind == OpPub || v.kind == OpHPub {
		return p.publish(op, args, buf, n)
	}
	if err := op.readArgs(args); err != nil {
		return 0, 0, err
	}
	return n, 0, nil
}

// controlLine gives the arguments of the line whose verb ends at start, and how
// long the line is with its end; n is 0 while the end has not arrived. What
// separates verb and arguments is held to the same limit as the arguments, so that
// no line is longer than a small multiple of it.
func (p *Parser) controlLine(buf []byte, start int) (args []byte, n int, err error) {
	first := start
	for first < len(buf) && (buf[first] == ' ' || buf[first] == '\t') {
		first++
	}
	args = buf[first:]
	if i := bytes.IndexByte(args, '\n'); i >= 0 {
		args, n = args[:i], first+i+1
	}
	args = bytes.TrimSuffix(args, []byte{'\r'})
	if limit := p.lineLimit(); first-start > limit || len(args) > limit {
		return nil, 0, ErrControlLine
	}
	return args, n, nil
}

// publish reads the arguments of a PUB or HPUB and, if it is there, what follows
// the control line, which ends at data. It gives what Parse gives.
func (p *Parser) publish(op *Op, args, buf []byte, data int) (n, need int, err error) {
	malformed, sizes := ErrPubArguments, 1
	if op.Kind == OpHPub {
		malformed, sizes = ErrHPubArguments, 2
	}
	var fields [4][]byte
	count, ok := split(args, fields[:2+sizes])
	if !ok || count < 1+sizes {
		return 0, 0, malformed
	}
	header := 0
	total, ok := parseNumber(fields[count-1], maxDigits)
	if ok && sizes == 2 {
		header, ok = parseNumber(fields[count-2], maxDigits)
	}
	if !ok || header > total {
		return 0, 0, malformed
	}
	if total > p.payloadLimit() {
		return 0, 0, ErrMaxPayload
	}
	end := data + total
	n = end + len("\r\n")
	if n > len(buf) {
		return 0, n, nil
	}
	if buf[end] != '\r' || buf[end+1] != '\n' {
		return 0, 0, ErrUnknownOperation
	}
	op.Subject = fields[0]
	if count == 2+sizes {
		op.Reply = fields[1]
	}
	if sizes == 2 {
		op.Header = buf[data : data+header : data+header]
	}
	op.Data = buf[data+header : end : end]
	return n, 0, nil
}

// readArgs sets what the arguments of the operations without payload say.
func (op *Op) readArgs(args []byte) error {
	switch op.Kind {
	case OpSub:
		return op.readSub(args)
	case OpUnsub:
		return op.readUnsub(args)
	case OpConnect, OpInfo, OpErr:
		op.Arg = args[:len(args):len(args)]
	}
	return nil // what stands behind the others means nothing
}

func (op *Op) readSub(args []byte) error {
	var fields [3][]byte
	count, ok := split(args, fields[:])
	if !ok || count < 2 {
		return ErrSubArguments
	}
	op.Subject, op.SID = fields[0], fields[count-1]
	if count == 3 {
		op.Queue = fields[1]
	}
	return nil
}

// maxCountDigits is how many digits the count of an UNSUB may have: as many as
// surely fit 64 bits.
const maxCountDigits = 18

// readUnsub takes a count that is no number for none, so that UNSUB then takes
// effect at once: that is what NATS does.
func (op *Op) readUnsub(args []byte) error {
	var fields [2][]byte
	count, ok := split(args, fields[:])
	if !ok || count < 1 {
		return ErrUnsubArguments
	}
	op.SID = fields[0]
	if count == 2 {
		op.Max, _ = parseNumber(fields[1], maxCountDigits)
	}
	return nil
}

// split cuts args at runs of spaces, tabs and carriage returns. ok is false where
// fields has no room for all; count is then one more than there is room for.
func split(args []byte, fields [][]byte) (count int, ok bool) {
	for i := 0; i < len(args); {
		if isSeparator(args[i]) {
			i++
			continue
		}
		start := i
		for i < len(args) && !isSeparator(args[i]) {
			i++
		}
		if count++; count > len(fields) {
			return count, false
		}
		fields[count-1] = args[start:i:i]
	}
	return count, true
}

func isSeparator(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// parseNumber reads b, which must be one to most decimal digits.
func parseNumber(b []byte, most int) (value int, ok bool) {
	if len(b) == 0 || len(b) > most {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, true
}
