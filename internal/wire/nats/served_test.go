package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestServedLinesAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		line          []byte
		subject, sid  string
		reply         string
		header, total int
	}{
		{AppendMsgHead(nil, []byte("a.b"), []byte("7"), nil, 12), "a.b", "7", "", 0, 12},
		{AppendMsgHead(nil, []byte("a.b"), []byte("7"), []byte("_R.1"), 0), "a.b", "7", "_R.1", 0, 0},
		{AppendHMsgHead(nil, []byte("a"), []byte("8"), nil, 12, 14), "a", "8", "", 12, 14},
		{AppendHMsgHead(nil, []byte("a"), []byte("8"), []byte("_R.2"), 12, 12), "a", "8", "_R.2", 12, 12},
	} {
		s, err := ParseServed(c.line)
		if err != nil || s.Kind != ServedMsg || string(s.Subject) != c.subject || string(s.SID) != c.sid || string(s.Reply) != c.reply || s.Header != c.header || s.Size != c.total {
			t.Errorf("%q: %+v, %v", c.line, s, err)
		}
	}
	for line, want := range map[string]Served{
		"PING\r\n":                           {Kind: ServedPing},
		"pong":                               {Kind: ServedPong},
		"+OK\r\n":                            {Kind: ServedOK},
		"-ERR 'Authorization Violation'\r\n": {Kind: ServedErr, Arg: []byte("Authorization Violation")},
		`INFO {"max_payload":5,"nonce":"x"} ` + "\r\n": {Kind: ServedInfo, Arg: []byte(`{"max_payload":5,"nonce":"x"} `)},
		"HELLO there": {},
	} {
		s, err := ParseServed([]byte(line))
		if err != nil || s.Kind != want.Kind || !bytes.Equal(s.Arg, want.Arg) {
			t.Errorf("%q: %+v, %v", line, s, err)
		}
	}
	for _, line := range []string{"MSG", "MSG a", "MSG a 1", "MSG a 1 x", "MSG a 1 b c 5", "MSG a 1 -1", "MSG a 1 999999999", "HMSG a 1 5", "HMSG a 1 6 5", "HMSG a 1 r r 5 6"} {
		if _, err := ParseServed([]byte(line)); !errors.Is(err, ErrServed) {
			t.Errorf("%q is taken: %v", line, err)
		}
	}
}

func TestWhatAClientWritesIsWhatTheParserReads(t *testing.T) {
	c := Connect{Name: "x", User: "u", Pass: "p", Headers: true, NoResponders: true, Protocol: 1}
	buf := AppendConnect(nil, &c)
	buf = AppendSub(buf, "foo.*", "1")
	buf = AppendPub(buf, []byte("a"), []byte("_R"), []byte("hi"))
	buf = AppendPub(buf, []byte("b"), nil, nil)
	buf = AppendUnsub(buf, "1")
	p := Parser{MaxControlLine: 4096, MaxPayload: 1024}
	got := strings.Join(transcript(t, &p, buf, []byte{255, 255, 255}), "\n")
	for _, want := range []string{"foo.*", "_R", "hi", "UNSUB"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	var back Connect
	_, document, _ := bytes.Cut(AppendConnect(nil, &c), []byte{' '})
	if err := json.Unmarshal(document, &back); err != nil || back != c {
		t.Errorf("%+v, %v", back, err)
	}
}

func FuzzServed(f *testing.F) {
	for _, line := range []string{"MSG a 1 5", "MSG a 1 r 5", "HMSG a 1 5 6", "HMSG a 1 r 5 6", "INFO {}", "-ERR 'x'", "PING", "+OK", "MSG a 1 999999999"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := ParseServed(line)
		if err != nil || s.Kind != ServedMsg {
			return
		}
		if s.Header < 0 || s.Header > s.Size || s.Size > MaxServed || len(s.Subject) == 0 || len(s.SID) == 0 {
			t.Fatalf("%q: %+v", line, s)
		}
		again := AppendMsgHead(nil, s.Subject, s.SID, s.Reply, s.Size)
		if s.Header > 0 {
			again = AppendHMsgHead(nil, s.Subject, s.SID, s.Reply, s.Header, s.Size)
		}
		if s2, err := ParseServed(again); err != nil || !bytes.Equal(s2.Subject, s.Subject) || !bytes.Equal(s2.Reply, s.Reply) || s2.Size != s.Size {
			t.Fatalf("%q became %q: %+v, %v", line, again, s2, err)
		}
	})
}
