package http2_test

import (
	"slices"
	"strings"
	"testing"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// refusal is how a call ends that is refused for its header. The status is in the header,
// and nothing else comes.
type refusal struct {
	http string // :status
	code codes.Code
	text string
	// Or the stream may be reset with PROTOCOL_ERROR, as HTTP/2 has it for what is malformed.
	malformed bool
}

// wantRefusal fails unless a call ended so.
func (c *client) wantRefusal(s *call, want refusal) {
	c.t.Helper()
	c.until("the call is over", s.over)
	if want.malformed && s.header == nil && s.reset != nil && *s.reset == http2.ErrCodeProtocol {
		return
	}
	code, said := s.status(c.t)
	wantStatus(c.t, code, said, want.code, want.text)
	if got := value(s.header, ":status"); got != want.http {
		c.t.Errorf(":status is %q, not %q", got, want.http)
	}
	if !strings.HasPrefix(value(s.header, "content-type"), "application/grpc") {
		c.t.Errorf("content-type is %q", value(s.header, "content-type"))
	}
	if !slices.Equal(s.header, s.trailer) || len(s.frames) > 0 {
		c.t.Errorf("a header, %d frames and a trailer, not one header that says it all", len(s.frames))
	}
	if c.goaway != nil {
		c.t.Errorf("GOAWAY %v %q", c.goaway.ErrCode, c.debug)
	}
}

// TestTheContentTypeSaysThatItIsGRPC has what is another's refused as gRPC says: HTTP's
// 415, with gRPC's INVALID_ARGUMENT as its own server has it.
func TestTheContentTypeSaysThatItIsGRPC(t *testing.T) {
	_, addr := start(t, "")
	// The answer's says application/grpc, or what the request's says; a semicolon is read as
	// the plus sign.
	for _, given := range []string{"application/grpc", "application/grpc+proto", "application/grpc+flatbuffers", "application/grpc;charset=utf-8", "application/grpc+"} {
		want := strings.Replace(given, ";", "+", 1)
		t.Run(given, func(t *testing.T) {
			code, said, s := dial(t, addr).unary(api+"FetchMetadata", &pb.FetchMetadataRequest{}, "content-type", given)
			wantStatus(t, code, said, codes.OK, "")
			if got := value(s.header, "content-type"); got != "application/grpc" && got != given && got != want {
				t.Errorf("answered with %q", got)
			}
			if value(s.header, ":status") != "200" {
				t.Error(s.header)
			}
		})
	}
	for _, given := range []string{"text/plain", "application/json", "application/grpcx", "application/grpc-web", "application/grpc-web+proto", "", absent} {
		t.Run("not "+strings.Trim(given, absent), func(t *testing.T) {
			c := dial(t, addr)
			for _, end := range []bool{false, true} {
				s := c.begin(end, api+"FetchMetadata", "content-type", given)
				c.wantRefusal(s, refusal{http: "415", code: codes.InvalidArgument, text: `invalid gRPC request content-type "` + strings.Trim(given, absent) + `"`})
			}
			c.must(api+"FetchMetadata", &pb.FetchMetadataRequest{}, nil)
		})
	}
}

// TestWhatIsNotThereIsUnimplemented has gRPC's texts, in which what is not printable, and
// the percent sign, is written with percent signs.
func TestWhatIsNotThereIsUnimplemented(t *testing.T) {
	_, addr := start(t, "")
	for path, text := range map[string]string{
		"/no.Service/Do":          "unknown service no.Service",
		"/proto.API/Nope":         "unknown method Nope for service proto.API",
		"/proto.API/":             "unknown method  for service proto.API",
		"/a/b/c":                  "unknown service a/b",
		"/proto.api/Publish":      "unknown service proto.api",
		"/proto.API/a%b":          "unknown method a%b for service proto.API",
		"/proto.API/é~ \"":        "unknown method é~ \" for service proto.API",
		"/grpc.health.v1.Health/": "unknown method  for service grpc.health.v1.Health",
		"/":                       `malformed method name: "/"`,
		"/x":                      `malformed method name: "/x"`,
	} {
		t.Run(path, func(t *testing.T) {
			c := dial(t, addr)
			for _, end := range []bool{false, true} {
				s := c.begin(end, path)
				c.wantRefusal(s, refusal{http: "200", code: codes.Unimplemented, text: text})
				for _, b := range []byte(value(s.trailer, "grpc-message")) {
					if b < ' ' || b > '~' {
						t.Errorf("byte %#x is not written with a percent sign", b)
					}
				}
			}
			c.must(api+"FetchMetadata", &pb.FetchMetadataRequest{}, nil)
		})
	}
	c := dial(t, addr)
	s := c.begin(true, "/proto.API/é%")
	if _, _ = c.finish(s); value(s.trailer, "grpc-message") != "unknown method %C3%A9%25 for service proto.API" {
		t.Error(s.trailer)
	}
}

// TestWhatIsWrongWithAHeaderIsSaid has what HTTP/2 and gRPC forbid.
func TestWhatIsWrongWithAHeaderIsSaid(t *testing.T) {
	_, addr := start(t, "")
	malformedName := refusal{http: "200", code: codes.Unimplemented, text: `malformed method name: ""`, malformed: true}
	for _, each := range []struct {
		what string
		more []string
		want refusal
	}{
		{"the method GET", []string{":method", "GET"}, refusal{http: "405", code: codes.Internal, text: `Received a HEADERS frame with :method "GET" which should be POST`}},
		{"no method", []string{":method", absent}, refusal{http: "405", code: codes.Internal, text: `Received a HEADERS frame with :method "" which should be POST`, malformed: true}},
		{"no path", []string{":path", absent}, malformedName},
		{"an empty path", []string{":path", ""}, malformedName},
		{"a path without a slash before it", []string{":path", "proto.API/FetchMetadata"}, refusal{http: "200", code: codes.Unimplemented, text: `malformed method name: "proto.API/FetchMetadata"`, malformed: true}},
		{"two hosts", []string{"host", "x", "host", "y"}, refusal{http: "400", code: codes.Internal, text: "num values of :authority: 1, num values of host: 2, both must only have 1 value as per HTTP/2 spec"}},
		{"a header of the connection", []string{"connection", "close"}, refusal{malformed: true}},
		{"a header's name in capitals", []string{"X-Upper", "x"}, refusal{malformed: true}},
		{"a pseudo-header that is not known", []string{":nope", "x"}, refusal{malformed: true}},
		{"binary metadata that is not base64", []string{"x-bin", "!!!"}, refusal{http: "400", code: codes.Internal, text: `malformed binary metadata "!!!" in header "x-bin": illegal base64 data at input byte 0`}},
	} {
		t.Run(each.what, func(t *testing.T) {
			c := dial(t, addr)
			for _, end := range []bool{false, true} {
				c.wantRefusal(c.begin(end, api+"FetchMetadata", each.more...), each.want)
			}
			c.must(api+"FetchMetadata", &pb.FetchMetadataRequest{}, nil)
		})
	}
}

func TestWhatIsAllowedInAHeaderIsServed(t *testing.T) {
	_, addr := start(t, "")
	for what, more := range map[string][]string{
		"a host instead of an authority": {":authority", absent, "host", "x"},
		"a host beside the authority":    {"host", "x"},
		"no te":                          {"te", absent},
		"padded binary metadata":         {"x-bin", "AAE="},
		"binary metadata not padded":     {"x-bin", "AAE"},
		"binary metadata of three bytes": {"x-bin", "AAEC"},
		"empty binary metadata":          {"x-bin", ""},
		"much metadata":                  {"x-long", strings.Repeat("x", 6000), "x-again", strings.Repeat("y", 6000)},
		"metadata twice":                 {"x-twice", "a", "x-twice", "b"},
		"what is answered with":          {"grpc-accept-encoding", "gzip, identity"},
		"an encoding that is none":       {"grpc-encoding", "identity"},
		"who asks":                       {"user-agent", "x/1 grpc"},
	} {
		t.Run(what, func(t *testing.T) {
			code, said, s := dial(t, addr).unary(api+"FetchMetadata", &pb.FetchMetadataRequest{}, more...)
			wantStatus(t, code, said, codes.OK, "")
			if e := value(s.header, "grpc-encoding"); e != "" && e != "identity" {
				t.Errorf("answered in %s", e)
			}
		})
	}
}

// TestADeadlineComesInEachUnit has those that are long enough for an answer, those that are
// not, and those that say nothing.
func TestADeadlineComesInEachUnit(t *testing.T) {
	_, addr := served(t, "")
	for _, good := range []string{"1H", "60M", "20S", "20000m", "20000000u", "99999999H", "00000020S"} {
		t.Run(good, func(t *testing.T) {
			var a pb.PublishResponse
			dial(t, addr).must(api+"Publish", publishing([]byte("x")), &a, "grpc-timeout", good)
			if a.Ack == nil {
				t.Error("no ack: the call had no deadline")
			}
		})
	}
	for _, passed := range []string{"0S", "0n", "1n", "1u"} {
		t.Run(passed, func(t *testing.T) {
			c := dial(t, addr)
			s := c.open(api+"Subscribe", "grpc-timeout", passed)
			c.data(s, true, message(reading(false)))
			c.wantDeadline(s)
		})
	}
	const short, long = "malformed grpc-timeout: transport: timeout string is too short: ", "malformed grpc-timeout: transport: timeout string is too long: "
	const unit, number = "malformed grpc-timeout: transport: timeout unit is not recognized: ", "malformed grpc-timeout: strconv.ParseUint: parsing "
	for bad, text := range map[string]string{
		"": short + `""`, "5": short + `"5"`, "S": short + `"S"`, "100000000S": long + `"100000000S"`, "5s": unit + `"5s"`, "5X": unit + `"5X"`, "500": unit + `"500"`,
		"-5S": number + `"-5": invalid syntax`, "+5S": number + `"+5": invalid syntax`, "5 S": number + `"5 ": invalid syntax`, "5.0S": number + `"5.0": invalid syntax`,
	} {
		t.Run("malformed "+bad, func(t *testing.T) {
			c := dial(t, addr)
			c.wantRefusal(c.open(api+"FetchMetadata", "grpc-timeout", bad), refusal{http: "400", code: codes.Internal, text: text})
			c.publish([]byte("as before"))
		})
	}
}

// wantDeadline fails unless a call ended with DEADLINE_EXCEEDED, or was cancelled, which
// is what gRPC's own server does when the deadline comes while the call goes on: clients
// have clocks of their own.
func (c *client) wantDeadline(s *call) {
	c.t.Helper()
	c.until("the call is over", s.over)
	if s.reset != nil && *s.reset == http2.ErrCodeCancel {
		return
	}
	if code, said := s.status(c.t); code != codes.DeadlineExceeded {
		c.t.Errorf("%v %q", code, said)
	}
}

func TestADeadlineEndsACallThatGoesOn(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	var list []*call
	for _, timeout := range []string{"300m", "300000u", "99999999n"} {
		s := c.open(api+"Subscribe", "grpc-timeout", timeout)
		c.data(s, true, message(reading(false)))
		list = append(list, s)
		a := c.open(api+"PublishAsync", "grpc-timeout", timeout)
		c.data(a, false, message(publishing([]byte("x"))))
		list = append(list, a)
	}
	for _, s := range list {
		c.wantDeadline(s)
	}
	c.publish([]byte("as before"))
}

// TestADeadlineEndsACallWhoseMessageDoesNotCome has nothing of it, and a piece.
func TestADeadlineEndsACallWhoseMessageDoesNotCome(t *testing.T) {
	_, addr := served(t, "")
	for what, piece := range map[string][]byte{"nothing": nil, "a piece": message(publishing([]byte("y")))[:7]} {
		for _, method := range []string{"Publish", "Subscribe", "PublishAsync"} {
			t.Run(what+" of "+method, func(t *testing.T) {
				c := dial(t, addr)
				s := c.open(api+method, "grpc-timeout", "200m")
				c.data(s, false, piece)
				c.wantDeadline(s)
				c.publish([]byte("as before"))
			})
		}
	}
}

// TestAHeaderBlockMayComeInManyPieces has CONTINUATION frames of few bytes, and empty ones,
// and padding and a priority before them. A server may take only so many.
func TestAHeaderBlockMayComeInManyPieces(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	block := c.encode(api+"Publish", patient...)
	s := c.stream()
	c.write("HEADERS", func() error {
		return c.fr.WriteHeaders(http2.HeadersFrameParam{
			StreamID: s.id, BlockFragment: block[:1], PadLength: 200, Priority: http2.PriorityParam{StreamDep: 0, Weight: 7},
		})
	})
	for piece := range slices.Chunk(block[1:], 3) {
		c.write("CONTINUATION", func() error { return c.fr.WriteContinuation(s.id, false, piece) })
	}
	c.write("CONTINUATION", func() error { return c.fr.WriteContinuation(s.id, true, nil) })
	c.data(s, true, message(publishing([]byte("x"))))
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
}

// TestALongStatusIsSaidInManyPieces has a refusal that does not fit into one frame.
func TestALongStatusIsSaidInManyPieces(t *testing.T) {
	_, addr := start(t, "")
	c := dial(t, addr)
	name := strings.Repeat("é%x", 5000) // 20,000 bytes, 60,000 as they are written
	s := c.begin(true, "/proto.API/"+name)
	code, said := c.finish(s)
	wantStatus(t, code, said, codes.Unimplemented, "unknown method "+name+" for service proto.API")
	c.must(api+"FetchMetadata", &pb.FetchMetadataRequest{}, nil)
}

// TestHeadersAreCompressedAsEachSideAllows has a client that keeps no table, one that
// changes its size, and fields that must not be kept.
func TestHeadersAreCompressedAsEachSideAllows(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	dec := hpack.NewDecoder(0, nil) // fails where the server uses a table
	c.fr.ReadMetaHeaders = dec
	c.publish([]byte("x"))
	c.publish([]byte("y"))
	c.enc.SetMaxDynamicTableSize(0)
	c.publish([]byte("z"))
	c.enc.SetMaxDynamicTableSize(4096)
	c.publish([]byte("z"))
	dec.SetAllowedMaxDynamicTableSize(4096)
	c.configure(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 4096})
	c.until("that is known", func() bool { return c.settled == 2 })
	c.publish([]byte("z"))
	c.publish([]byte("z"))

	block := c.encode(api+"Publish", patient...)
	var b strings.Builder
	e := hpack.NewEncoder(&b)
	if err := e.WriteField(hpack.HeaderField{Name: "x-secret", Value: "s", Sensitive: true}); err != nil {
		t.Fatal(err)
	}
	s := c.stream()
	c.write("HEADERS", func() error {
		return c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: append(block, b.String()...), EndHeaders: true})
	})
	c.data(s, true, message(publishing([]byte("x"))))
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
}
