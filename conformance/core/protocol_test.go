package core_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

const quiet = `{"verbose":false,"pedantic":false,"headers":true}`

func TestInfoTellsClientsWhatTheyGateBy(t *testing.T) {
	s := harness.Start(t, "")
	a, b := s.Dial().Info, s.Dial().Info
	if !strings.HasPrefix(a.ServerID, "N") || len(a.ServerID) != 56 || a.ServerName != "conformance" {
		t.Errorf("identity is %q, %q", a.ServerID, a.ServerName)
	}
	if a.Proto != 1 || !a.Headers || !a.JetStream || a.MaxPayload != 1<<20 || a.AuthRequired || a.ClientIP != "127.0.0.1" {
		t.Errorf("INFO is %+v", a)
	}
	if !strings.HasPrefix(a.Version, "2.") {
		t.Errorf("version is %q", a.Version)
	}
	if a.ClientID == b.ClientID || fmt.Sprintf("%s:%d", a.Host, a.Port) != s.Addr {
		t.Errorf("INFO is %+v, then %+v", a, b)
	}
}

func TestFirstPingIsFollowedByConnectInfo(t *testing.T) {
	s := harness.Start(t, "")
	r := s.Dial()
	r.Send(`CONNECT {"verbose":false,"protocol":1}` + "\r\nPING\r\n")
	r.Expect("PONG")
	line := r.Line()
	if !strings.HasPrefix(line, "INFO ") || !strings.Contains(line, `"connect_info":true`) || !strings.Contains(line, `"remote_account":"$G"`) {
		t.Errorf("after PONG comes %q", line)
	}
}

func TestOperationsBeforeConnectAreVerbose(t *testing.T) {
	r := harness.Start(t, "").Dial()
	r.Send("SUB foo 1\r\nsub foo 1\nPUB foo 2\r\nhi\r\nUNSUB 99\r\nPING\r\n")
	r.Expect("+OK", "+OK", "+OK", "MSG foo 1 2", "hi", "+OK", "PONG")
}

func TestVerboseSaysOK(t *testing.T) {
	r := harness.Start(t, "").Dial()
	r.Send("CONNECT {\"verbose\":true}\r\nSUB a 1\r\nPUB a 1\r\nx\r\n")
	r.Expect("+OK", "+OK", "+OK", "MSG a 1 1", "x")
}

func TestPedanticReportsWildcardPublish(t *testing.T) {
	r := harness.Start(t, "").Dial()
	r.Send("CONNECT {\"verbose\":false,\"pedantic\":true}\r\nPUB foo.* 1\r\nx\r\nPING\r\n")
	r.Expect("-ERR 'Invalid Publish Subject'", "PONG")
}

func TestInvalidSubscriptionIsRefusedAndTheConnectionStays(t *testing.T) {
	r := harness.Start(t, "").Raw(quiet)
	r.Send("SUB foo..bar 1\r\nSUB foo.>.bar 2\r\nPING\r\n")
	r.Expect("-ERR 'Invalid Subject'", "-ERR 'Invalid Subject'", "PONG")
}

func TestProtocolErrorsCloseTheConnection(t *testing.T) {
	s := harness.Start(t, "max_payload: 1000")
	for name, c := range map[string]struct{ send, says string }{
		"unknown verb":             {"FOO\r\n", "-ERR 'Unknown Protocol Operation'"},
		"MSG from client":          {"MSG a 1 1\r\nx\r\n", "-ERR 'Unknown Protocol Operation'"},
		"payload too long":         {"PUB a 2\r\nabcd\r\n", "-ERR 'Unknown Protocol Operation'"},
		"size no number":           {"PUB a x\r\n", ""},
		"max_payload":              {"PUB a 1001\r\n", "-ERR 'Maximum Payload Violation'"},
		"max_control_line":         {"PUB " + strings.Repeat("a", 5000) + " 1\r\n", "-ERR 'maximum control line exceeded'"},
		"unknown protocol":         {"CONNECT {\"protocol\":5}\r\n", "-ERR 'invalid client protocol'"},
		"account in CONNECT":       {"CONNECT {\"account\":\"X\"}\r\n", "-ERR 'Authorization Violation'"},
		"no headers for 503":       {"CONNECT {\"no_responders\":true,\"headers\":false}\r\n", "-ERR 'no responders requires headers support'"},
		"broken CONNECT":           {"CONNECT {\"verb\r\n", ""},
		"more header than message": {"HPUB a 12 5\r\nNATS/1.0\r\n\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.Raw(quiet)
			r.Send(c.send)
			if c.says == "" {
				r.ExpectClosed()
			} else {
				r.ExpectClosed(c.says)
			}
		})
	}
}

func TestPublishOfExactlyMaxPayloadPasses(t *testing.T) {
	r := harness.Start(t, "max_payload: 1000").Raw(quiet)
	body := strings.Repeat("x", 1000)
	r.Send("SUB a 1\r\nPUB a 1000\r\n" + body + "\r\n")
	r.Expect("MSG a 1 1000", body)
}

func TestHeaderBlockPassesByteForByte(t *testing.T) {
	s := harness.Start(t, "")
	with, without := s.Raw(quiet), s.Raw(`{"verbose":false,"headers":false}`)
	without.Send("SUB a 9\r\nPING\r\n")
	without.Expect("PONG")
	block := "NATS/1.0\r\nkey:no space\r\nKEY:  two\r\n\r\n"
	with.Send(fmt.Sprintf("SUB a 1\r\nHPUB a re %d %d\r\n%sbody\r\n", len(block), len(block)+4, block))
	with.Expect(fmt.Sprintf("HMSG a 1 re %d %d", len(block), len(block)+4), "NATS/1.0", "key:no space", "KEY:  two", "", "body")
	without.Expect("MSG a 9 re 4", "body")
}

func TestNoRespondersComesAsStatus(t *testing.T) {
	r := harness.Start(t, "").Raw(`{"verbose":false,"headers":true,"no_responders":true}`)
	r.Send("SUB i.x 7\r\nPUB nobody i.x 0\r\n\r\n")
	r.Expect("HMSG i.x 7 38 38", "NATS/1.0 503", "Nats-Subject: nobody", "", "")
}

func TestOperationsCutAnywhereAreTheSame(t *testing.T) {
	r := harness.Start(t, "").Raw(quiet)
	text := "SUB a.b 1\r\nPUB a.b re 5\r\nhello\r\nUNSUB 1\r\nPING\r\n"
	for i := range len(text) {
		r.Send(text[i : i+1])
	}
	r.Expect("MSG a.b 1 re 5", "hello", "PONG")
}

func TestUnsubscribeCountsFromTheStart(t *testing.T) {
	r := harness.Start(t, "").Raw(quiet)
	r.Send("SUB a 1\r\nPUB a 1\r\n1\r\nUNSUB 1 3\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\nPUB a 1\r\n4\r\nPING\r\n")
	r.Expect("MSG a 1 1", "1", "MSG a 1 1", "2", "MSG a 1 1", "3", "PONG")
	r.Send("SUB a 2\r\nPUB a 1\r\n1\r\nUNSUB 2 1\r\nPUB a 1\r\n2\r\nPING\r\n")
	r.Expect("MSG a 2 1", "1", "PONG")
}

func TestEachOverlappingSubscriptionGetsItsCopy(t *testing.T) {
	r := harness.Start(t, "").Raw(quiet)
	r.Send("SUB a.b 1\r\nSUB a.* 2\r\nSUB a.> 3\r\nSUB > 4\r\nSUB *.c 5\r\nPUB a.b 1\r\nx\r\nPING\r\n")
	got := map[string]bool{}
	for range 4 {
		got[r.Line()] = true
		r.Expect("x")
	}
	r.Expect("PONG")
	for _, sid := range []string{"1", "2", "3", "4"} {
		if !got["MSG a.b "+sid+" 1"] {
			t.Errorf("subscription %s got nothing: %v", sid, got)
		}
	}
}

func TestWildcardTextInAPublishIsLiteral(t *testing.T) {
	r := harness.Start(t, "").Raw(quiet)
	r.Send("SUB foo.bar 1\r\nSUB foo.* 2\r\nSUB foo* 3\r\nPUB foo.* 1\r\nx\r\nPUB foo* 1\r\ny\r\nPUB foox 1\r\nz\r\nPING\r\n")
	r.Expect("MSG foo.* 2 1", "x", "MSG foo* 3 1", "y", "PONG")
}

func TestEchoOffSkipsOwnSubscriptions(t *testing.T) {
	s := harness.Start(t, "")
	r, other := s.Raw(`{"verbose":false,"echo":false}`), s.Raw(quiet)
	other.Send("SUB a 1\r\nPING\r\n")
	other.Expect("PONG")
	r.Send("SUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n")
	r.Expect("PONG")
	other.Expect("MSG a 1 1", "x")
}
