package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// received is a message as people and programs see it.
type received struct {
	N          uint64              `json:"n,omitempty"`
	Subject    string              `json:"subject"`
	Reply      string              `json:"reply,omitempty"`
	Header     map[string][]string `json:"headers,omitempty"`
	Data       *string             `json:"data,omitempty"`        // where it is UTF-8
	Base64     []byte              `json:"data_base64,omitempty"` // where it is not
	Stream     string              `json:"stream,omitempty"`
	Consumer   string              `json:"consumer,omitempty"`
	Sequence   uint64              `json:"seq,omitempty"`
	Deliveries uint64              `json:"deliveries,omitempty"`
	Pending    *uint64             `json:"pending,omitempty"`
	Time       *time.Time          `json:"time,omitempty"`
	data       []byte
}

func (r *received) setData(b []byte) {
	r.data = b
	if utf8.Valid(b) {
		s := string(b)
		r.Data = &s
	} else {
		r.Base64 = b
	}
}

func fromCore(m *nats.Msg) *received {
	r := &received{Subject: m.Subject, Reply: m.Reply, Header: m.Header}
	r.setData(m.Data)
	return r
}

// fromStream describes a delivery of a consumer; its reply is the consumer's own and left out.
func fromStream(m jetstream.Msg) (*received, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read a delivery's position: %w", err)
	}
	r := &received{
		Subject: m.Subject(), Header: m.Headers(), Stream: meta.Stream, Consumer: meta.Consumer,
		Sequence: meta.Sequence.Stream, Deliveries: meta.NumDelivered, Pending: &meta.NumPending, Time: &meta.Timestamp,
	}
	r.setData(m.Data())
	return r, nil
}

// positionHeaders are what a direct read adds to say where a message stands.
var positionHeaders = []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"}

func fromStored(stream string, m *jetstream.RawStreamMsg) *received {
	for _, h := range positionHeaders {
		delete(m.Header, h)
	}
	r := &received{Subject: m.Subject, Header: m.Header, Stream: stream, Sequence: m.Sequence, Time: &m.Time}
	r.setData(m.Data)
	return r
}

// printer writes messages in one of four forms.
type printer struct {
	out                    *bufio.Writer
	raw, headersOnly, json bool
	bold                   func(string) string
}

func (a *app) newPrinter(raw, headersOnly bool) *printer {
	return &printer{out: bufio.NewWriterSize(a.out, 64<<10), raw: raw, headersOnly: headersOnly, json: a.asJSON, bold: a.bold}
}

// print writes one message; flush makes it seen and says whether writing failed.
func (p *printer) print(r *received) error {
	switch {
	case p.json:
		enc := json.NewEncoder(p.out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write message: %w", err)
		}
		return nil
	case p.raw:
		p.out.Write(r.data)
	default:
		fmt.Fprintln(p.out, p.bold(r.title()))
		writeHeader(p.out, r.Header)
		if p.headersOnly {
			return nil
		}
		p.out.Write(r.data)
		if len(r.data) > 0 && r.data[len(r.data)-1] == '\n' {
			break
		}
	}
	p.out.WriteByte('\n')
	return nil
}

// title is the line over a message: number, subject and where it comes from.
func (r *received) title() string {
	var b strings.Builder
	if r.N > 0 {
		fmt.Fprintf(&b, "[%d] ", r.N)
	}
	b.WriteString(r.Subject)
	if r.Reply != "" {
		fmt.Fprintf(&b, "  reply %s", r.Reply)
	}
	if r.Sequence > 0 {
		fmt.Fprintf(&b, "  %s #%d", r.Stream, r.Sequence)
	}
	if r.Time != nil {
		b.WriteString("  " + when(*r.Time))
	}
	if r.Deliveries > 1 {
		fmt.Fprintf(&b, "  delivery %d", r.Deliveries)
	}
	return b.String()
}

func writeHeader(w io.Writer, h map[string][]string) {
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, v := range h[k] {
			fmt.Fprintf(w, "%s: %s\n", k, v)
		}
	}
	if len(h) > 0 {
		fmt.Fprintln(w)
	}
}

func (p *printer) flush() error {
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("write messages: %w", err)
	}
	return nil
}
