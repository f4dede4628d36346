package monitor

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
)

// index lists the endpoints.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Weir</title><h1>Weir</h1><ul>\n")
	for _, r := range routes {
		if r.path != "/" {
			fmt.Fprintf(&b, "<li><a href=\"%s%s\">%s</a> %s</li>\n", s.base, r.path, r.path, r.about)
		}
	}
	b.WriteString("</ul></html>\n")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if _, err := w.Write([]byte(b.String())); err != nil {
		s.log.Debug("HTTP answer not sent", "error", err)
	}
}

// mostStacks bounds the text of /stacksz.
const mostStacks = 16 << 20

// stacksz says what each goroutine does, for whoever reports a server that hangs.
func (s *Server) stacksz(w http.ResponseWriter, _ *http.Request) {
	b := make([]byte, 64<<10)
	for {
		n := runtime.Stack(b, true)
		if n < len(b) || len(b) >= mostStacks {
			b = b[:n]
			break
		}
		b = make([]byte, 2*len(b))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := w.Write(b); err != nil {
		s.log.Debug("HTTP answer not sent", "error", err)
	}
}
