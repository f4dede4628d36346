package rpc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/wire/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // what clients may send compressed
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// mostHeaders bounds the header list of a call, bytes, with fieldWeight for each field as
// in SETTINGS_MAX_HEADER_LIST_SIZE. A block may have as much when it is encoded.
const (
	mostHeaders = 64 << 10
	fieldWeight = 32
	// mostFragments is how many frames a block may come in.
	mostFragments = 64
)

// block is a header block that is being received.
type block struct {
	dec    *hpack.Decoder
	stream uint32 // 0: none
	end    bool   // the stream ends with it
	frames int    // that it came in
	err    error  // of the stream
	b      []byte
}

// headers begins a header block.
func (n *conn) headers(f *http2.Frame) error {
	b, err := http2.DecodeHeaders(f)
	var why *http2.Error
	if err != nil && (!errors.As(err, &why) || why.Stream == 0) {
		return err
	}
	n.block.stream, n.block.end, n.block.err, n.block.b = f.Stream, f.Has(http2.FlagEndStream), err, n.block.b[:0]
	n.block.frames = 0
	return n.fragment(b, f.Has(http2.FlagEndHeaders))
}

func (n *conn) continuation(f *http2.Frame) error {
	if n.block.stream == 0 {
		return &http2.Error{Code: http2.ProtocolError, Text: "CONTINUATION without HEADERS"}
	}
	return n.fragment(f.Payload, f.Has(http2.FlagEndHeaders))
}

// fragment takes a part of the block, and handles it when it is complete.
func (n *conn) fragment(b []byte, last bool) error {
	k := &n.block
	if k.frames++; len(k.b)+len(b) > mostHeaders || k.frames > mostFragments {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "a header block is too long"}
	}
	if !last {
		k.b = append(k.b, b...)
		return nil
	}
	if len(k.b) > 0 {
		b = append(k.b, b...)
	}
	r := request{md: metadata.MD{}}
	k.dec.SetEmitFunc(r.field)
	k.dec.SetMaxStringLength(mostHeaders)
	if _, err := k.dec.Write(b); err != nil {
		return &http2.Error{Code: http2.CompressionError, Text: "a header block cannot be decoded"}
	}
	if err := k.dec.Close(); err != nil {
		return &http2.Error{Code: http2.CompressionError, Text: "a header block is cut off"}
	}
	stream, end, err := k.stream, k.end, k.err
	k.stream, k.b = 0, nil
	return n.request(stream, end, &r, err)
}

// request is what a header block says.
type request struct {
	method, path, scheme, authority string
	contentType, encoding, timeout  string
	length                          string // content-length
	md                              metadata.MD
	pseudo, regular, limited        bool // there was one; a grpc-timeout
	size                            int
	wrong                           string // why it is malformed; empty: it is not
	bad                             string // why its metadata are
}

// field takes one header field.
func (r *request) field(f hpack.HeaderField) {
	if r.size += len(f.Name) + len(f.Value) + fieldWeight; r.size > mostHeaders {
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		r.pseudoField(f)
		return
	}
	r.regular = true
	if strings.ContainsFunc(f.Name, func(c rune) bool { return c >= 'A' && c <= 'Z' || c <= ' ' || c == ':' || c >= 0x7f }) || f.Name == "" {
		r.wrong = "name of a header field"
		return
	}
	if strings.ContainsAny(f.Value, "\x00\r\n") {
		r.wrong = "value of a header field"
		return
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		r.wrong = "a header field of a connection"
	case "te":
		if f.Value != "trailers" {
			r.wrong = "te is not trailers"
		}
	case "content-type":
		r.contentType = f.Value
		r.md.Append(f.Name, f.Value)
	case "content-length":
		r.length = f.Value
	case "grpc-encoding":
		r.encoding = f.Value
	case "grpc-timeout":
		r.timeout, r.limited = f.Value, true
	case "grpc-accept-encoding", "grpc-message-type":
	default:
		r.custom(f)
	}
}

// custom takes a field of the metadata.
func (r *request) custom(f hpack.HeaderField) {
	if !strings.HasSuffix(f.Name, "-bin") {
		r.md.Append(f.Name, f.Value)
		return
	}
	for v := range strings.SplitSeq(f.Value, ",") {
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(v), "="))
		if err != nil {
			r.bad = fmt.Sprintf("malformed binary metadata %q in header %q: %v", f.Value, f.Name, err)
			return
		}
		r.md.Append(f.Name, string(b))
	}
}

func (r *request) pseudoField(f hpack.HeaderField) {
	if r.regular {
		r.wrong = "a pseudo-header field behind others"
	}
	r.pseudo = true
	to := map[string]*string{":method": &r.method, ":path": &r.path, ":scheme": &r.scheme, ":authority": &r.authority}[f.Name]
	if to == nil || *to != "" || f.Value == "" && f.Name != ":authority" {
		r.wrong = "a pseudo-header field that is unknown, empty or there twice"
		return
	}
	if *to = f.Value; f.Name == ":authority" {
		r.md.Append(f.Name, f.Value)
	}
}

// request handles a header block: it opens a call, or ends what a client sends in one.
func (n *conn) request(stream uint32, end bool, r *request, err error) error {
	if stream%2 == 0 {
		return &http2.Error{Code: http2.ProtocolError, Text: "a client's stream has an even number"}
	}
	n.mu.Lock()
	opens, refusing := stream > n.newest, n.refusing
	over := len(n.calls) >= mostCalls || n.running >= mostCalls
	if opens && !refusing {
		n.newest = stream
	}
	n.mu.Unlock()
	if !opens {
		return n.trailers(stream, end, r)
	}
	malformed := func(text string) error { return &http2.Error{Stream: stream, Code: http2.ProtocolError, Text: text} }
	switch {
	case refusing:
		return nil // the client knows by GOAWAY that it is not served
	case err != nil:
		return err
	case r.wrong != "":
		return malformed(r.wrong)
	case r.method == "" || r.path == "" && r.method != "OPTIONS" || r.scheme == "":
		return malformed("a pseudo-header field is missing")
	case over:
		return &http2.Error{Stream: stream, Code: http2.RefusedStream, Text: "too many calls"}
	}
	c := n.open(stream, r)
	if r.length != "" {
		length, err := strconv.ParseInt(r.length, 10, 64)
		if err != nil || length < 0 {
			return malformed("content-length is no length")
		}
		c.length, c.sized = length, true
	}
	if end {
		c.halfClosed.Store(true)
	}
	if c.admit(r) {
		c.begin()
	}
	if end {
		return n.halfClose(c)
	}
	return nil
}

// trailers handles a second header block of a stream.
func (n *conn) trailers(stream uint32, end bool, r *request) error {
	c := n.call(stream)
	switch {
	case c == nil:
		return &http2.Error{Code: http2.StreamClosed, Text: "HEADERS in a stream that is closed"}
	case c.halfClosed.Load():
		return &http2.Error{Stream: stream, Code: http2.StreamClosed, Text: "HEADERS after END_STREAM"}
	case !end:
		return &http2.Error{Stream: stream, Code: http2.ProtocolError, Text: "trailers without END_STREAM"}
	case r.pseudo || r.wrong != "":
		return &http2.Error{Stream: stream, Code: http2.ProtocolError, Text: "trailers are malformed"}
	}
	return n.halfClose(c)
}

// admit checks what a call says about itself. It says whether the call is to be handled;
// otherwise it was answered.
func (c *Call) admit(r *request) bool {
	switch {
	case r.size > mostHeaders:
		c.refuse("431", status.New(codes.ResourceExhausted, "header list is too long"))
	case r.method != "POST":
		c.refuse("405", status.Newf(codes.Internal, "Received a HEADERS frame with :method %q which should be POST", r.method))
	case !isGRPC(r.contentType):
		c.refuse("415", status.Newf(codes.InvalidArgument, "invalid gRPC request content-type %q", r.contentType))
	case len(r.md["host"]) > 1:
		c.refuse("400", status.Newf(codes.Internal, "num values of :authority: %d, num values of host: %d, both must only have 1 value as per HTTP/2 spec",
			len(r.md[":authority"]), len(r.md["host"])))
	case r.bad != "":
		c.refuse("400", status.New(codes.Internal, r.bad))
	default:
		c.kind = r.contentType
		return c.known(r)
	}
	return false
}

// isGRPC says whether a content type is one of gRPC's.
func isGRPC(t string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(t), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// known finds the method, the way of compression and the time limit.
func (c *Call) known(r *request) bool {
	if r.limited {
		limit, err := timeout(r.timeout)
		if err != nil {
			c.refuse("400", status.Newf(codes.Internal, "malformed grpc-timeout: %v", err))
			return false
		}
		c.limit(limit)
	}
	if r.encoding != "" && r.encoding != encoding.Identity {
		if c.unpack = encoding.GetCompressor(r.encoding); c.unpack == nil {
			c.refuse("200", status.Newf(codes.Unimplemented, "grpc: Decompressor is not installed for grpc-encoding %q", r.encoding))
			return false
		}
	}
	if c.method = c.conn.server.methods[r.path]; c.method != nil {
		return true
	}
	c.refuse("200", c.conn.server.unknown(r.path))
	return false
}

// unknown is why a path cannot be called.
func (s *Server) unknown(path string) *status.Status {
	name, slash := strings.CutPrefix(path, "/")
	service, method, ok := cutLast(name)
	if !ok || !slash {
		return status.Newf(codes.Unimplemented, "malformed method name: %q", path)
	}
	if _, ok := s.services[service]; !ok {
		return status.Newf(codes.Unimplemented, "unknown service %v", service)
	}
	return status.Newf(codes.Unimplemented, "unknown method %v for service %v", method, service)
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// units of grpc-timeout.
var units = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// timeout reads grpc-timeout: up to 8 digits and a unit.
func timeout(s string) (time.Duration, error) {
	const most = 1<<63 - 1
	switch {
	case len(s) < 2:
		return 0, fmt.Errorf("transport: timeout string is too short: %q", s)
	case len(s) > 9:
		return 0, fmt.Errorf("transport: timeout string is too long: %q", s)
	}
	unit := units[s[len(s)-1]]
	if unit == 0 {
		return 0, fmt.Errorf("transport: timeout unit is not recognized: %q", s)
	}
	value, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil {
		return 0, err
	}
	if int64(value) > most/int64(unit) {
		return most, nil
	}
	return time.Duration(value) * unit, nil
}
