package nats

import (
	"bytes"
	"strings"
	"testing"
)

var benchOps = []struct{ name, bytes string }{
	{"PubShort", "PUB foo.bar 5\r\nhello\r\n"},
	{"Pub128", "PUB bench.subject.one 128\r\n" + strings.Repeat("x", 128) + "\r\n"},
	{"PubReply", "PUB svc.echo _INBOX.4k2j3h4kj23h4k.1 16\r\n0123456789abcdef\r\n"},
	{"HPub", "HPUB foo.bar 22 27\r\nNATS/1.0\r\nKey: abc\r\n\r\nhello\r\n"},
	{"PubLowerCase", "pub foo.bar 5\r\nhello\r\n"},
	{"Ping", "PING\r\n"},
}

func BenchmarkParse(b *testing.B) {
	for _, o := range benchOps {
		b.Run(o.name, func(b *testing.B) {
			buf := bytes.Repeat([]byte(o.bytes), 1000)
			p := Parser{MaxControlLine: 4096, MaxPayload: 1 << 20}
			at := 0
			b.ReportAllocs()
			var op Op
			for b.Loop() {
				n, _, err := p.Parse(&op, buf[at:])
				if err != nil || n != len(o.bytes) {
					b.Fatal(n, err)
				}
				if at += n; at == len(buf) {
					at = 0
				}
			}
		})
	}
}

func BenchmarkAppendMsgTail(b *testing.B) {
	subject, sid := []byte("bench.subject.one"), []byte("12")
	tail := append([]byte("128\r\n"), bytes.Repeat([]byte{'x'}, 130)...)
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendMsgTail(dst[:0], subject, sid, tail)
	}
}
