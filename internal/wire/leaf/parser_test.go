package leaf

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// describe writes an operation so that tests can compare it.
func describe(op *Op) string {
	var b strings.Builder
	fmt.Fprint(&b, []string{"msg", "sub", "unsub", "ping", "pong", "info", "connect", "err", "ok"}[op.Kind])
	for _, f := range []struct {
		name  string
		value []byte
	}{{"subject", op.Subject}, {"reply", op.Reply}, {"queue", op.Queue}, {"header", op.Header}, {"data", op.Data}, {"tail", op.Tail}, {"arg", op.Arg}} {
		if len(f.value) > 0 {
			fmt.Fprintf(&b, " %s=%q", f.name, f.value)
		}
	}
	if op.Weight != 0 {
		fmt.Fprintf(&b, " weight=%d", op.Weight)
	}
	if len(op.Groups) > 0 {
		fmt.Fprintf(&b, " groups=%q", op.Groups)
	}
	return b.String()
}

func TestWhatAServerSaysIsRead(t *testing.T) {
	for _, it := range []struct{ in, want string }{
		{"LS+ from.leaf\r\n", `sub subject="from.leaf"`},
		{"LS+ q.s grp 2\r\n", `sub subject="q.s" queue="grp" weight=2`},
		{"ls+  q.s\tgrp  2 \n", `sub subject="q.s" queue="grp" weight=2`},
		{"LS- q.s grp\r\n", `unsub subject="q.s" queue="grp"`},
		{"LS- a\r\n", `unsub subject="a"`},
		{"LMSG foo 2\r\nhi\r\n", `msg subject="foo" data="hi" tail="2\r\nhi\r\n"`},
		{"LMSG foo rep 2\r\nhi\r\n", `msg subject="foo" reply="rep" data="hi" tail="rep 2\r\nhi\r\n"`},
		{"LMSG bar | q1 1\r\nx\r\n", `msg subject="bar" data="x" groups=["q1"]`},
		{"LMSG bar | q1 q2 1\r\nx\r\n", `msg subject="bar" data="x" groups=["q1" "q2"]`},
		{"LMSG bar + rep q1 1\r\nx\r\n", `msg subject="bar" reply="rep" data="x" groups=["q1"]`},
		{"LMSG bar | 1\r\nx\r\n", `msg subject="bar" data="x"`},
		{"LMSG foo  02\r\nhi\r\n", `msg subject="foo" data="hi"`},
		{"LMSG foo 02\r\nhi\r\n", `msg subject="foo" data="hi"`},
		{"LMSG foo 2\nhi\r\n", `msg subject="foo" data="hi"`},
		{"LMSG foo 0\r\n\r\n", `msg subject="foo" tail="0\r\n\r\n"`},
		{"HMSG foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", `msg subject="foo" header="NATS/1.0\r\n\r\n" data="hi" tail="12 14\r\nNATS/1.0\r\n\r\nhi\r\n"`},
		{"HMSG bar + rep q1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", `msg subject="bar" reply="rep" header="NATS/1.0\r\n\r\n" data="hi" groups=["q1"]`},
		{"PING\r\n", "ping"}, {"PONG\r\n", "pong"}, {"+OK\r\n", "ok"},
		{"-ERR 'Authorization Violation'\r\n", `err arg="Authorization Violation"`},
		{"INFO {\"a\":1} \r\n", `info arg="{\"a\":1}"`},
		{"CONNECT {}\r\n", `connect arg="{}"`},
	} {
		var op Op
		n, _, err := new(Parser).Parse(&op, []byte(it.in+"LS+ next\r\n"))
		if err != nil || n != len(it.in) || describe(&op) != it.want {
			t.Errorf("%q: %d bytes, %v\n got %s\nwant %s", it.in, n, err, describe(&op), it.want)
		}
	}
}

func TestWhatIsMalformedIsRefused(t *testing.T) {
	for in, want := range map[string]error{
		"MSG foo 1 2\r\nhi\r\n":                   ErrVerb,
		"\r\n":                                    ErrVerb,
		"LS+\r\n":                                 ErrArguments,
		"LS+ a q\r\n":                             ErrArguments,
		"LS+ a q 0\r\n":                           ErrArguments,
		"LS+ a q 1 2\r\n":                         ErrArguments,
		"LS+ a q x\r\n":                           ErrArguments,
		"LS-\r\n":                                 ErrArguments,
		"LS- a b c\r\n":                           ErrArguments,
		"LMSG foo\r\n":                            ErrArguments,
		"LMSG 2\r\nhi\r\n":                        ErrArguments,
		"LMSG foo a b 2\r\nhi\r\n":                ErrArguments,
		"LMSG foo + 2\r\nhi\r\n":                  ErrArguments,
		"LMSG foo -2\r\nhi\r\n":                   ErrArguments,
		"LMSG foo 9999999999\r\n":                 ErrArguments,
		"HMSG foo 3 2\r\nhi\r\n":                  ErrArguments,
		"HMSG foo 0 2\r\nhi\r\n":                  ErrArguments,
		"HMSG foo 2\r\nhi\r\n":                    ErrArguments,
		"LMSG foo 200\r\n":                        ErrPayload,
		"LMSG foo 2\r\nhim\r\n":                   ErrEnd,
		"LS+ " + strings.Repeat("a", 80):          ErrLine,
		"LS+ " + strings.Repeat("a", 80) + "\r\n": ErrLine,
	} {
		var op Op
		if n, need, err := (&Parser{MaxLine: 64, MaxPayload: 100}).Parse(&op, []byte(in)); !errors.Is(err, want) {
			t.Errorf("%q: %d, %d, %v, want %v", in, n, need, err, want)
		}
	}
}

func TestTheEncodersWriteTheProtocol(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	for _, it := range []struct {
		got  []byte
		want string
	}{
		{AppendMsg(b("+"), b("foo"), nil, nil, nil, b("hi")), "+LMSG foo 2\r\nhi\r\n"},
		{AppendMsg(nil, b("foo"), b("rep"), nil, nil, b("hi")), "LMSG foo rep 2\r\nhi\r\n"},
		{AppendMsg(nil, b("bar"), nil, []string{"q1", "q2"}, nil, b("x")), "LMSG bar | q1 q2 1\r\nx\r\n"},
		{AppendMsg(nil, b("bar"), b("rep"), []string{"q1"}, nil, b("x")), "LMSG bar + rep q1 1\r\nx\r\n"},
		{AppendMsg(nil, b("foo"), nil, nil, b("NATS/1.0\r\n\r\n"), b("hi")), "HMSG foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"},
		{AppendMsg(nil, b("bar"), b("rep"), []string{"q1"}, b("NATS/1.0\r\n\r\n"), nil), "HMSG bar + rep q1 12 12\r\nNATS/1.0\r\n\r\n\r\n"},
		{AppendSub(nil, "a.>", "", 0), "LS+ a.>\r\n"},
		{AppendSub(nil, "a.>", "q", 3), "LS+ a.> q 3\r\n"},
		{AppendUnsub(nil, "a.>", ""), "LS- a.>\r\n"},
		{AppendUnsub(nil, "a.>", "q"), "LS- a.> q\r\n"},
		{AppendErr(nil, "why"), "-ERR 'why'\r\n"},
		{AppendPing(nil), "PING\r\n"},
		{AppendPong(nil), "PONG\r\n"},
		{AppendConnect(nil, &Connect{Name: "n", Compression: "off"}), "CONNECT {\"name\":\"n\",\"compress_mode\":\"off\"}\r\n"},
	} {
		if string(it.got) != it.want {
			t.Errorf("\n got %q\nwant %q", it.got, it.want)
		}
	}
}

func TestAbsentKeysOfAnInfoKeepTheirValue(t *testing.T) {
	var i Info
	first := `{"server_id":"N1","client_id":7,"nonce":"abc","info_on_connect":true,"leafnode_urls":["h:1"],"max_payload":100,"new":{}}`
	second := `{"connect_info":true,"remote_account":"A","import":{"allow":["a"]},"export":{"deny":["b"]}}`
	for _, doc := range []string{first, second} {
		if err := i.Decode([]byte(doc)); err != nil {
			t.Fatal(err)
		}
	}
	want := Info{
		ServerID: "N1", ClientID: 7, Nonce: "abc", InfoOnConnect: true, LeafURLs: []string{"h:1"}, MaxPayload: 100,
		ConnectInfo: true, RemoteAccount: "A", Import: &Rule{Allow: []string{"a"}}, Export: &Rule{Deny: []string{"b"}},
	}
	if !reflect.DeepEqual(i, want) {
		t.Errorf("%+v", i)
	}
	if err := i.Decode([]byte(`{"server_id":"N2","client_id":"x"}`)); err == nil || !reflect.DeepEqual(i, want) {
		t.Errorf("%v, %+v", err, i)
	}
	var c Connect
	sent := Connect{User: "u", Pass: "p", Headers: true, DenyPub: []string{"a"}}
	var op Op
	if _, _, err := new(Parser).Parse(&op, AppendConnect(nil, &sent)); err != nil || c.Decode(op.Arg) != nil || !reflect.DeepEqual(c, sent) {
		t.Errorf("%v, %+v", err, c)
	}
	if c.Decode([]byte("{")) == nil {
		t.Error("half a document is taken")
	}
	var again Info
	if _, _, err := new(Parser).Parse(&op, AppendInfo(nil, &i)); err != nil || again.Decode(op.Arg) != nil || !reflect.DeepEqual(again, i) {
		t.Errorf("%v, %+v", err, again)
	}
}

// FuzzParse holds that how bytes are cut into buffers changes nothing, that nothing is
// read that is not there, and that what was read can be written and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"LS+ from.leaf\r\n", "LS+ q.s grp 2\r\n", "LS- q.s grp\r\n", "LMSG foo 2\r\nhi\r\n", "LMSG foo rep 2\r\nhi\r\n",
		"LMSG bar | q1 1\r\nx\r\n", "LMSG bar + rep q1 q2 1\r\nx\r\n", "HMSG foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
		"HMSG bar + rep q1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "PING\r\nPONG\r\n", "-ERR 'x'\r\n", "INFO {}\r\n", "lmsg  a\tb 01\nx\r\n",
	} {
		f.Add([]byte(s))
	}
	p := Parser{MaxLine: 1 << 10, MaxPayload: 1 << 10}
	f.Fuzz(func(t *testing.T, in []byte) {
		var op Op
		n, need, err := p.Parse(&op, in)
		if states := btoi(n > 0) + btoi(need > 0) + btoi(err != nil); states != 1 || n > len(in) || need > 0 && need <= len(in) {
			t.Fatalf("n %d, need %d, err %v of %d bytes", n, need, err, len(in))
		}
		if n == 0 {
			return
		}
		for cut := range n {
			var part Op
			if m, need, err := p.Parse(&part, in[:cut:cut]); m != 0 || err != nil || need <= cut || need > n {
				t.Fatalf("%d of %d bytes: n %d, need %d, %v", cut, n, m, need, err)
			}
		}
		roundTrip(t, &p, &op)
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func roundTrip(t *testing.T, p *Parser, op *Op) {
	t.Helper()
	var out []byte
	switch op.Kind {
	case OpMsg:
		var groups []string
		for _, g := range op.Groups {
			groups = append(groups, string(g))
		}
		out = AppendMsg(nil, op.Subject, op.Reply, groups, op.Header, op.Data)
		if op.Tail != nil && !bytes.HasSuffix(out, op.Tail) {
			t.Fatalf("tail %q is not the end of %q", op.Tail, out)
		}
	case OpSub:
		out = AppendSub(nil, string(op.Subject), string(op.Queue), int(op.Weight))
	case OpUnsub:
		out = AppendUnsub(nil, string(op.Subject), string(op.Queue))
	default:
		return
	}
	want := *op
	want.Tail = nil
	p = &Parser{MaxLine: p.MaxLine + 64, MaxPayload: p.MaxPayload}
	var again Op
	n, _, err := p.Parse(&again, out)
	again.Tail = nil
	if err != nil || n != len(out) || describe(&again) != describe(&want) {
		t.Fatalf("%q: %v\n got %s\nwant %s", out, err, describe(&again), describe(&want))
	}
}
