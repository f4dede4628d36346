package nats

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// line shows an operation as a transcript does; "-" is an absent argument.
func line(op *Op) string {
	show := func(b []byte) string {
		if b == nil {
			return "-"
		}
		return fmt.Sprintf("%q", b)
	}
	switch op.Kind {
	case OpPub, OpHPub:
		return fmt.Sprintf("%s subject=%s reply=%s header=%s data=%s tail=%s", op.Kind,
			show(op.Subject), show(op.Reply), show(op.Header), show(op.Data), show(op.Tail))
	case OpSub:
		return fmt.Sprintf("SUB subject=%s queue=%s sid=%s", show(op.Subject), show(op.Queue), show(op.SID))
	case OpUnsub:
		return fmt.Sprintf("UNSUB sid=%s max=%d", show(op.SID), op.Max)
	case OpConnect, OpInfo, OpErr:
		return fmt.Sprintf("%s arg=%s", op.Kind, show(op.Arg))
	}
	return op.Kind.String()
}

func TestEachVerbIsParsed(t *testing.T) {
	tests := []struct{ in, want string }{
		// PUB
		{"PUB foo 2\r\nhi\r\n", `PUB subject="foo" reply=- header=- data="hi" tail="2\r\nhi\r\n"`},
		{"PUB foo bar 2\r\nhi\r\n", `PUB subject="foo" reply="bar" header=- data="hi" tail="bar 2\r\nhi\r\n"`},
		{"PUB foo 0\r\n\r\n", `PUB subject="foo" reply=- header=- data="" tail="0\r\n\r\n"`},
		{"PUB foo 12 2\r\nhi\r\n", `PUB subject="foo" reply="12" header=- data="hi" tail="12 2\r\nhi\r\n"`},
		{"PUB foo 1a 2\r\nhi\r\n", `PUB subject="foo" reply="1a" header=- data="hi" tail="1a 2\r\nhi\r\n"`},
		{"PUB a.long.subject.of.many.tokens _INBOX.abcdefgh.1 4\r\n\r\n\r\n\r\n", `PUB subject="a.long.subject.of.many.tokens" reply="_INBOX.abcdefgh.1" header=- data="\r\n\r\n" tail="_INBOX.abcdefgh.1 4\r\n\r\n\r\n\r\n"`},
		{"PUB föö\x80\xff.bär.wide 1\r\nx\r\n", `PUB subject="föö\x80\xff.bär.wide" reply=- header=- data="x" tail="1\r\nx\r\n"`},
		{"PUB foo.* 2\r\nhi\r\n", `PUB subject="foo.*" reply=- header=- data="hi" tail="2\r\nhi\r\n"`},
		// a PUB that is right and not canonical has no tail
		{"pub foo 2\r\nhi\r\n", `PUB subject="foo" reply=- header=- data="hi" tail=-`},
		{"PuB foo 2\r\nhi\r\n", `PUB subject="foo" reply=- header=- data="hi" tail=-`},
		{"PUB  foo 2\r\nhi\r\n", `PUB subject="foo" reply=- header=- data="hi" tail=-`},
		{"PUB\tfoo\t2\r\nhi\r\n", `PUB subject="foo" reply=- header=- data="hi" tail=-`},
		{"PUB foo  \t bar 2 \r\nhi\r\n", `PUB subject="foo" reply="bar" header=- data="hi" tail=-`},
		{"PUB foo 2\nhi\r\n", `PUB subject="foo" reply=- header=- data="hi" tail=-`},
		{"PUB foo 000000002\r\nhi\r\n", `PUB subject="foo" reply=- header=- data="hi" tail=-`},
		{"PUB foo\x01bar 2\r\nhi\r\n", `PUB subject="foo\x01bar" reply=- header=- data="hi" tail=-`},
		// HPUB
		{"HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", `HPUB subject="foo" reply=- header="NATS/1.0\r\n\r\n" data="hi" tail="12 14\r\nNATS/1.0\r\n\r\nhi\r\n"`},
		{"HPUB foo bar 12 12\r\nNATS/1.0\r\n\r\n\r\n", `HPUB subject="foo" reply="bar" header="NATS/1.0\r\n\r\n" data="" tail="bar 12 12\r\nNATS/1.0\r\n\r\n\r\n"`},
		{"HPUB foo 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", `HPUB subject="foo" reply="7" header="NATS/1.0\r\n\r\n" data="hi" tail="7 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"`},
		{"HPUB foo 0 2\r\nhi\r\n", `HPUB subject="foo" reply=- header="" data="hi" tail="0 2\r\nhi\r\n"`},
		{"hpub foo bar 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", `HPUB subject="foo" reply="bar" header="NATS/1.0\r\n\r\n" data="hi" tail=-`},
		{"HPUB foo 12 014\r\nNATS/1.0\r\n\r\nhi\r\n", `HPUB subject="foo" reply=- header="NATS/1.0\r\n\r\n" data="hi" tail=-`},
		// SUB and UNSUB
		{"SUB foo 1\r\n", `SUB subject="foo" queue=- sid="1"`},
		{"SUB foo q sid-x\r\n", `SUB subject="foo" queue="q" sid="sid-x"`},
		{"sub\tfoo.>  q \t 1 \n", `SUB subject="foo.>" queue="q" sid="1"`},
		{"UNSUB 1\r\n", `UNSUB sid="1" max=0`},
		{"UNSUB 1 5\r\n", `UNSUB sid="1" max=5`},
		{"unsub  1\t10000000000\n", `UNSUB sid="1" max=10000000000`},
		{"UNSUB 1 x\r\n", `UNSUB sid="1" max=0`},
		{"UNSUB 1 9999999999999999999\r\n", `UNSUB sid="1" max=0`},
		// the others
		{"PING\r\n", "PING"},
		{"ping\n", "PING"},
		{"PING \t\r\n", "PING"},
		{"PING at ten\r\n", "PING"},
		{"PoNg\r\n", "PONG"},
		{"CONNECT {}\r\n", `CONNECT arg="{}"`},
		{"connect \t{\"verbose\":false} \r\n", `CONNECT arg="{\"verbose\":false} "`},
		{"CONNECT{}\r\n", `CONNECT arg="{}"`},
		{"CONNECT\r\n", `CONNECT arg=""`},
		{"INFO {}\r\n", `INFO arg="{}"`},
		{"+OK\r\n", "+OK"},
		{"-ERR 'Stale Connection'\r\n", `-ERR arg="'Stale Connection'"`},
	}
	p := Parser{MaxControlLine: 4096, MaxPayload: 1 << 20}
	for _, tt := range tests {
		buf := []byte(tt.in + "PING\r\n")
		op, n, need, err := p.Next(buf)
		if err != nil || need != 0 {
			t.Errorf("%q: need %d, error %v", tt.in, need, err)
			continue
		}
		if got := line(&op); got != tt.want || n != len(tt.in) {
			t.Errorf("%q: used %d bytes\n got %s\nwant %s", tt.in, n, got, tt.want)
		}
		for cut := range tt.in {
			if _, n, need, err := p.Next(buf[:cut:cut]); n != 0 || err != nil || need <= cut || need > len(tt.in) {
				t.Errorf("%q cut at %d: used %d, need %d, error %v", tt.in, cut, n, need, err)
			}
		}
	}
}

func TestEachMalformedInputHasItsError(t *testing.T) {
	tests := []struct {
		in   string
		want *Error
	}{
		{"FOO\r\n", ErrUnknownOperation},
		{"F", ErrUnknownOperation},
		{"PUX", ErrUnknownOperation},
		{"\r\n", ErrUnknownOperation},
		{" PING\r\n", ErrUnknownOperation},
		{"PINGS\r\n", ErrUnknownOperation},
		{"MSG foo 1 2\r\nhi\r\n", ErrUnknownOperation},
		{"RMSG", ErrUnknownOperation},
		{"A+ foo\r\n", ErrUnknownOperation},
		{"LS+ foo\r\n", ErrUnknownOperation},
		{"PUB\r\n", ErrUnknownOperation},
		{"SUB\n", ErrUnknownOperation},
		{"UNSUB\r\n", ErrUnknownOperation},
		{"-ERR\r\n", ErrUnknownOperation},
		{"PUBfoo 2\r\nhi\r\n", ErrUnknownOperation},
		{"PUB foo 2\r\nhello\r\n", ErrUnknownOperation},
		{"PUB foo 2\r\nhi\n\n", ErrUnknownOperation},
		{"PUB foo 2\r\nhi\r\r", ErrUnknownOperation},
		{"pub foo 2\r\nhello\r\n", ErrUnknownOperation},
		{"HPUB foo 12 13\r\nNATS/1.0\r\n\r\nhi\r\n", ErrUnknownOperation},
		{"PUB \r\n", ErrPubArguments},
		{"PUB foo\r\n", ErrPubArguments},
		{"PUB foo abc\r\n", ErrPubArguments},
		{"PUB foo -1\r\n", ErrPubArguments},
		{"PUB foo +1\r\n", ErrPubArguments},
		{"PUB foo 0x1\r\n", ErrPubArguments},
		{"PUB foo 0000000005\r\n", ErrPubArguments},
		{"PUB foo 1000000000\r\n", ErrPubArguments},
		{"PUB foo 99999999999999999999999999\r\n", ErrPubArguments},
		{"PUB foo bar baz 2\r\n", ErrPubArguments},
		{"HPUB foo 2\r\n", ErrHPubArguments},
		{"HPUB foo 14 12\r\n", ErrHPubArguments},
		{"HPUB foo x 12\r\n", ErrHPubArguments},
		{"HPUB foo 12 x\r\n", ErrHPubArguments},
		{"HPUB foo a b 12 14\r\n", ErrHPubArguments},
		{"SUB foo\r\n", ErrSubArguments},
		{"SUB a b c d\r\n", ErrSubArguments},
		{"SUB \t\r\n", ErrSubArguments},
		{"UNSUB \r\n", ErrUnsubArguments},
		{"UNSUB 1 2 3\r\n", ErrUnsubArguments},
		{"PUB foo 65\r\n", ErrMaxPayload},
		{"PUB foo bar 999999999\r\n", ErrMaxPayload},
		{"pub foo 65\r\n", ErrMaxPayload},
		{"HPUB foo 12 65\r\n", ErrMaxPayload},
	}
	p := Parser{MaxControlLine: 64, MaxPayload: 64}
	for _, tt := range tests {
		_, n, need, err := p.Next([]byte(tt.in))
		if !errors.Is(err, tt.want) || n != 0 || need != 0 {
			t.Errorf("%q: used %d, need %d, error %v, want %v", tt.in, n, need, err, tt.want)
		}
	}
}

func TestControlLineIsLimitedByItsArguments(t *testing.T) {
	p := Parser{MaxControlLine: 32, MaxPayload: 64}
	arg := func(format string, fill int) string { return fmt.Sprintf(format, strings.Repeat("a", fill)) }
	tests := []struct {
		in   string
		want error
	}{
		{arg("SUB %s 1\r\n", 30), nil},
		{arg("SUB %s 1\n", 30), nil},
		{arg("SUB %s 1\r\n", 31), ErrControlLine},
		{arg("SUB %s 1\n", 31), ErrControlLine},
		{arg("PUB %s 0\r\n\r\n", 30), nil},
		{arg("PUB %s 0\r\n\r\n", 31), ErrControlLine},
		{arg("PUB %s 65\r\n", 60), ErrControlLine}, // refused before its size is looked at
		{arg("CONNECT %s\r\n", 32), nil},
		{arg("CONNECT %s\r\n", 33), ErrControlLine},
		{arg("CONNECT %s", 33), ErrControlLine}, // refused before its end is there
		{"SUB " + strings.Repeat(" ", 33), ErrControlLine},
		{"SUB " + strings.Repeat("\t", 33) + "foo 1\r\n", ErrControlLine},
	}
	for _, tt := range tests {
		if _, n, _, err := p.Next([]byte(tt.in)); err != tt.want || err == nil && n != len(tt.in) {
			t.Errorf("%q: used %d of %d, error %v, want %v", tt.in, n, len(tt.in), err, tt.want)
		}
	}
	if _, _, need, err := p.Next([]byte(arg("CONNECT %s\r", 32))); err != nil || need != 42 {
		t.Errorf("a line that is as long as allowed and lacks its LF: need %d, error %v", need, err)
	}
}

func TestPayloadIsLimitedBeforeItArrives(t *testing.T) {
	p := Parser{MaxPayload: 100}
	if _, _, need, err := p.Next([]byte("PUB foo 100\r\n")); err != nil || need != 13+100+2 {
		t.Errorf("a payload of the limit: need %d, error %v", need, err)
	}
	if _, _, _, err := p.Next([]byte("PUB foo 101\r\n")); err != ErrMaxPayload {
		t.Errorf("a payload above the limit: error %v", err)
	}
	if _, _, need, err := p.Next([]byte("HPUB foo 50 100\r\nNATS/1.0")); err != nil || need != 17+100+2 {
		t.Errorf("headers and payload of the limit: need %d, error %v", need, err)
	}
}

func TestZeroLimitsAreTheDefaultsAndNegativeOnesNone(t *testing.T) {
	pub := func(size int) []byte { return []byte(fmt.Sprintf("PUB foo %d\r\n", size)) }
	sub := func(size int) []byte { return []byte("SUB " + strings.Repeat("a", size-2) + " 1\r\n") }
	tests := []struct {
		p    Parser
		in   []byte
		want error
	}{
		{Parser{}, pub(DefaultMaxPayload), nil},
		{Parser{}, pub(DefaultMaxPayload + 1), ErrMaxPayload},
		{Parser{MaxPayload: -1}, pub(999999999), nil},
		{Parser{}, sub(DefaultMaxControlLine), nil},
		{Parser{}, sub(DefaultMaxControlLine + 1), ErrControlLine},
		{Parser{MaxControlLine: -1}, sub(100 * DefaultMaxControlLine), nil},
	}
	for _, tt := range tests {
		if _, _, _, err := tt.p.Next(tt.in); err != tt.want {
			t.Errorf("%+v, %.20q: error %v, want %v", tt.p, tt.in, err, tt.want)
		}
	}
	op, _, _, err := new(Parser).Next([]byte("PUB foo 2\r\nhi\r\n"))
	if err != nil || string(op.Tail) != "2\r\nhi\r\n" {
		t.Errorf("with default limits: tail %q, error %v", op.Tail, err)
	}
}

func TestOpKeepsOutOfTheRestOfTheBuffer(t *testing.T) {
	for _, in := range []string{"PUB foo bar 2\r\nhi\r\n", "pub foo bar 2\r\nhi\r\n", "HPUB f r 1 2\r\nhi\r\n", "hpub f r 1 2\r\nhi\r\n",
		"SUB foo q 1\r\n", "UNSUB 1 2\r\n", "CONNECT {}\r\n"} {
		op, _, _, err := new(Parser).Next([]byte(in))
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		for _, b := range [][]byte{op.Subject, op.Reply, op.Queue, op.SID, op.Arg, op.Header, op.Data, op.Tail} {
			if cap(b) != len(b) {
				t.Errorf("%q: %q has %d bytes of capacity", in, b, cap(b))
			}
		}
	}
}

func TestParseLeavesNothingOfTheOperationBefore(t *testing.T) {
	var p Parser
	var op Op
	for _, in := range []string{"HPUB foo bar 1 2\r\nhi\r\n", "SUB foo q 1\r\n", "PUB foo 2\r\nhi\r\n", "UNSUB 1 5\r\n", "CONNECT {}\r\n", "PING\r\n"} {
		fresh, _, _, err := p.Next([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Parse(&op, []byte(in)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(op, fresh) {
			t.Errorf("%q: got %+v, want %+v", in, op, fresh)
		}
	}
}
