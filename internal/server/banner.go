package server

import (
	"fmt"
	"io"
	"strings"
)

// banner is what a person sees at the start: where the doors are, where the data
// is and how durable, and what to try.
type banner struct {
	Name, DataDir, Durability string
	NATS, HTTP, Lift          string // addresses that are bound; empty: off
	Streaming                 string // cluster id of NATS Streaming; empty: off
	Loopback                  bool   // because nothing was said about who may come in
	Streams                   int
	Pid                       int
	ReadyMS                   int64
}

// write prints the banner on one screen, without colours.
func (b *banner) write(w io.Writer) {
	p := func(format string, a ...any) { fmt.Fprintf(w, format+"\n", a...) }
	p("weir %s  NATS level %s  pid %d", Version, NATSVersion, b.Pid)
	p("")
	if b.NATS != "" {
		p("  NATS clients   nats://%s", b.NATS)
	}
	if b.Lift != "" {
		p("  Liftbridge     %s   gRPC", b.Lift)
	}
	if b.HTTP != "" {
		p("  HTTP           http://%s   /healthz /varz /connz /metrics", b.HTTP)
	}
	if b.Streaming != "" {
		p("  NATS Streaming cluster %s", b.Streaming)
	}
	if b.DataDir != "" {
		p("  streams        %s   %s, %s", b.DataDir, b.Durability, plural(b.Streams, "stream"))
	} else {
		p("  streams        off: start with -js, or -sd DIR to say where they are kept")
	}
	p("")
	if b.NATS != "" {
		p("Try, in another terminal:")
		server := ""
		if !strings.HasSuffix(b.NATS, ":4222") {
			server = " --server nats://" + b.NATS
		}
		p("  weir sub%s 'greet.>'", server)
		p("  weir pub%s greet.world 'hello'", server)
		if b.DataDir != "" {
			p("  weir stream add%s ORDERS --subjects 'orders.>'", server)
		}
		p("")
	}
	if b.Loopback {
		p("No authentication is configured: listening on loopback only.")
	}
	p("ready in %d ms", b.ReadyMS)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// attrs are the same facts for a log line.
func (b *banner) attrs() []any {
	return []any{
		"version", Version, "nats_version", NATSVersion, "name", b.Name, "pid", b.Pid, "nats", b.NATS, "http", b.HTTP, "liftbridge", b.Lift,
		"store_dir", b.DataDir, "durability", b.Durability, "streams", b.Streams, "streaming", b.Streaming, "loopback_only", b.Loopback, "ready_ms", b.ReadyMS,
	}
}
