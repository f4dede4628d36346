package nats

import "testing"

func TestEncodersWriteTheProtocol(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"MSG", AppendMsg(b("+"), b("foo"), b("1"), nil, b("hi")), "+MSG foo 1 2\r\nhi\r\n"},
		{"MSG with reply", AppendMsg(nil, b("foo"), b("1"), b("bar"), b("hi")), "MSG foo 1 bar 2\r\nhi\r\n"},
		{"empty MSG", AppendMsg(nil, b("foo"), b("1"), nil, nil), "MSG foo 1 0\r\n\r\n"},
		{"HMSG", AppendHMsg(nil, b("foo"), b("1"), nil, b("NATS/1.0\r\n\r\n"), b("hi")), "HMSG foo 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"},
		{"HMSG with reply", AppendHMsg(nil, b("foo"), b("1"), b("bar"), b("NATS/1.0\r\n\r\n"), nil), "HMSG foo 1 bar 12 12\r\nNATS/1.0\r\n\r\n\r\n"},
		{"MSG from tail", AppendMsgTail(nil, b("foo"), b("1"), b("bar 2\r\nhi\r\n")), "MSG foo 1 bar 2\r\nhi\r\n"},
		{"HMSG from tail", AppendHMsgTail(nil, b("foo"), b("1"), b("12 12\r\nNATS/1.0\r\n\r\n\r\n")), "HMSG foo 1 12 12\r\nNATS/1.0\r\n\r\n\r\n"},
		{"head of MSG", AppendMsgHead(nil, b("foo"), b("1"), b("r"), 70000), "MSG foo 1 r 70000\r\n"},
		{"head of HMSG", AppendHMsgHead(nil, b("foo"), b("1"), nil, 12, 70000), "HMSG foo 1 12 70000\r\n"},
		{"no responders", AppendNoResponders(nil, b("i.x"), b("7"), b("nobody")), "HMSG i.x 7 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n"},
		{"+OK", AppendOK(nil), "+OK\r\n"},
		{"PING", AppendPing(nil), "PING\r\n"},
		{"PONG", AppendPong(nil), "PONG\r\n"},
		{"-ERR", AppendErr(nil, ErrStale.Text), "-ERR 'Stale Connection'\r\n"},
		{"status", AppendStatus(nil, 503, ""), "NATS/1.0 503\r\n\r\n"},
		{"status and headers", AppendStatus(nil, 408, "Request Timeout", "Nats-Pending-Messages", "3", "Nats-Pending-Bytes", "0"),
			"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\nNats-Pending-Bytes: 0\r\n\r\n"},
	}
	for _, tt := range tests {
		if string(tt.got) != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestHeaderValueIsTheFirstOfItsExactKey(t *testing.T) {
	hdr := []byte("NATS/1.0 100 Idle\r\nKey:  a b \r\nkey: lower\r\nKey: second\r\nEmpty:\r\nKey-2: x\r\nURL: http://h:1\r\n\r\n")
	tests := []struct{ key, want string }{
		{"Key", "a b"}, {"key", "lower"}, {"Key-2", "x"}, {"URL", "http://h:1"}, {"Empty", ""},
	}
	for _, tt := range tests {
		if got := HeaderValue(hdr, tt.key); got == nil || string(got) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.key, got, tt.want)
		}
	}
	for _, key := range []string{"KEY", "Ke", "NATS/1.0 100 Idle", "", "http", "Key-"} {
		if got := HeaderValue(hdr, key); got != nil {
			t.Errorf("%q: got %q, want none", key, got)
		}
	}
	for _, short := range []string{"", "NATS/1.0", "NATS/1.0\r\n", "NATS/1.0\r\nK"} {
		if got := HeaderValue([]byte(short), "K"); got != nil {
			t.Errorf("%q: got %q, want none", short, got)
		}
	}
	if got := HeaderValue([]byte("NATS/1.0\r\nK:v"), "K"); string(got) != "v" {
		t.Errorf("a block without its end: got %q", got)
	}
}
