package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// transcript feeds input in pieces of the given sizes, taken in turn, and shows
// what is parsed, up to the error or the end of what is complete.
func transcript(t *testing.T, p *Parser, input []byte, pieces []byte) []string {
	t.Helper()
	var lines []string
	start, have, need := 0, 0, 1
	for turn := 0; ; turn++ {
		for have-start >= need {
			buf := input[start:have:have]
			op, n, more, err := p.Next(buf)
			if err != nil {
				var known *Error
				if !errors.As(err, &known) || n != 0 || more != 0 {
					t.Fatalf("error %v with n %d and need %d", err, n, more)
				}
				return append(lines, "error "+err.Error())
			}
			if n == 0 {
				if more <= len(buf) {
					t.Fatalf("need %d of a buffer that has %d: %q", more, len(buf), buf)
				}
				need = more
				break
			}
			if n < 0 || n > len(buf) || more != 0 || op.Kind == OpNone {
				t.Fatalf("used %d of %d, need %d, kind %v", n, len(buf), more, op.Kind)
			}
			lines = append(lines, line(&op))
			start, need = start+n, 1
		}
		if have == len(input) {
			return lines
		}
		step := 1
		if len(pieces) > 0 {
			step += int(pieces[turn%len(pieces)])
		}
		have = min(have+step, len(input))
	}
}

func FuzzParser(f *testing.F) {
	for _, o := range benchOps {
		f.Add([]byte(o.bytes), []byte{3})
	}
	f.Add([]byte("CONNECT {\"verbose\":false}\r\nPING\r\nSUB foo.* q 1\r\nPUB foo.x _R.1 3\r\nabc\r\nUNSUB 1 2\r\nPONG\r\n"), []byte{0, 1, 7})
	f.Add([]byte("pub  a\t0\n\r\nHPUB a b 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB a 00\r\n\r\n"), []byte{5})
	f.Add([]byte("PUB a 999999999\r\n"), []byte{})
	f.Add([]byte("SUB "+string(bytes.Repeat([]byte{' '}, 200))), []byte{63})
	f.Add([]byte("INFO {}\r\n+OK\r\n-ERR 'x'\r\nMSG a 1 0\r\n\r\n"), []byte{2})
	f.Fuzz(func(t *testing.T, input, pieces []byte) {
		p := Parser{MaxControlLine: 128, MaxPayload: 1024}
		whole := transcript(t, &p, input, []byte{255, 255, 255, 255})
		for _, cut := range [][]byte{pieces, nil} {
			if got := transcript(t, &p, input, cut); fmt.Sprint(got) != fmt.Sprint(whole) {
				t.Fatalf("cut by %v:\n%q\nwhole:\n%q", cut, got, whole)
			}
		}
		checkDeliveries(t, &p, input)
	})
}

// checkDeliveries holds that the tail of a publish makes the same delivery as its
// parts, and that a canonical publish is what the encoder would write.
func checkDeliveries(t *testing.T, p *Parser, input []byte) {
	t.Helper()
	sid := []byte("7")
	for {
		var op Op
		n, _, err := p.Parse(&op, input)
		if err != nil || n == 0 {
			return
		}
		input = input[n:]
		if op.Tail == nil {
			continue
		}
		got, want := AppendMsgTail(nil, op.Subject, sid, op.Tail), AppendMsg(nil, op.Subject, sid, op.Reply, op.Data)
		if op.Kind == OpHPub {
			got = AppendHMsgTail(nil, op.Subject, sid, op.Tail)
			want = AppendHMsg(nil, op.Subject, sid, op.Reply, op.Header, op.Data)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("from the tail %q, from the parts %q", got, want)
		}
	}
}

func FuzzConnect(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"verbose":false,"pedantic":false,"echo":false,"headers":true,"no_responders":true,"protocol":1}`))
	f.Add([]byte(`{"user":"a","pass":"b","auth_token":"c","jwt":"d","nkey":"U","sig":"s","name":"n","lang":"go","version":"1"}`))
	f.Add([]byte(`{"protocol":5,"account":"x","new_account":true,"unknown":[{}]}`))
	f.Add([]byte(`{"verbose":"yes"}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, arg []byte) {
		before := NewConnect()
		before.User, before.Protocol = "before", 1
		c := before
		if err := c.Decode(arg); err != nil {
			if err != ErrConnectJSON || c != before {
				t.Fatalf("error %v left %+v", err, c)
			}
			return
		}
		var known *Error
		if err := c.Check(); err != nil && (!errors.As(err, &known) || !known.Closes()) {
			t.Fatalf("check gave %v", err)
		}
		document, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again := NewConnect()
		if err := again.Decode(document); err != nil || again != c {
			t.Fatalf("%s: read back as %+v, error %v", document, again, err)
		}
	})
}

func FuzzHeaderValue(f *testing.F) {
	f.Add([]byte("NATS/1.0\r\nKey: value\r\n\r\n"), "Key")
	f.Add([]byte("NATS/1.0 503\r\nA:b\nA: c"), "A")
	f.Add([]byte(""), "")
	f.Fuzz(func(t *testing.T, hdr []byte, key string) {
		got := HeaderValue(hdr, key)
		var want []byte
		for i, l := range strings.Split(string(hdr), "\n") {
			if i == 0 {
				continue
			}
			if value, ok := strings.CutPrefix(l, key+":"); ok {
				want = []byte(strings.Trim(value, " \t\r"))
				break
			}
		}
		if (got == nil) != (want == nil) || !bytes.Equal(got, want) {
			t.Fatalf("%q of %q: got %q, want %q", key, hdr, got, want)
		}
	})
}
