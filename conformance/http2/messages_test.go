package http2_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"google.golang.org/grpc/codes"
)

// Where messages begin and end has nothing to do with frames.

func TestAMessageMayComeInDataFramesOfOneByteWithPadding(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	s := c.open(api+"Publish", patient...)
	body := message(publishing(bytes.Repeat([]byte("0123456789"), 100)))
	for i := range body {
		c.write("DATA", func() error {
			return c.fr.WriteDataPadded(s.id, i == len(body)-1, body[i:i+1], make([]byte, i%256))
		})
	}
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	if got := stored(t, addr); !slices.Equal(got, []string{strings.Repeat("0123456789", 100)}) {
		t.Errorf("%q", got)
	}
}

func TestPaddingIsGivenBackToBothWindows(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	s := c.open(api + "PublishAsync")
	// 40,000 frames with 255 bytes of padding each are more than either window.
	one := message(publishing([]byte("x")))
	const frames = 40_000
	sent := 0
	for range frames {
		c.until("the windows have room", func() bool { return s.over() || s.window > 1000 && c.window > 1000 })
		if s.over() {
			t.Fatal(s.trailer, s.reset)
		}
		b := one[sent%len(one):][:1]
		c.write("DATA", func() error { return c.fr.WriteDataPadded(s.id, false, b, make([]byte, 255)) })
		s.window, c.window, sent = s.window-257, c.window-257, sent+1
	}
	c.awaitAcks(s, frames/len(one), 0)
}

func TestManyMessagesMayComeInOneDataFrame(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	var all []byte
	const n = 200
	for i := range n {
		all = append(all, message(publishing([]byte(fmt.Sprint(i))))...)
	}
	if len(all) > 16384 {
		t.Fatal("too much for one frame")
	}
	s := c.open(api + "PublishAsync")
	c.data(s, true, all)
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	c.awaitAcks(s, n, 0)
}

func TestAMessageMayBeginInOneFrameAndEndInAnother(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	two := append(message(publishing([]byte("first"))), message(publishing([]byte("second")))...)
	s := c.open(api + "PublishAsync")
	var want []string
	for cut := 1; cut < len(two); cut++ {
		c.data(s, false, two[:cut])
		c.flush()
		c.data(s, false, two[cut:])
		want = append(want, "first", "second")
		c.awaitAcks(s, len(want), 0)
	}
	c.data(s, true, nil)
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	if got := stored(t, addr); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestEmptyDataFramesMeanNothing(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	s := c.open(api+"Publish", patient...)
	body := message(publishing([]byte("x")))
	for i := range body {
		c.data(s, false, nil)
		c.data(s, false, body[i:i+1])
	}
	c.data(s, false, nil)
	c.data(s, true, nil)
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
}

func TestAnEmptyMessageIsAMessage(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	c.must(api+"FetchMetadata", &pb.FetchMetadataRequest{}, nil)
}

// TestWhatIsWrongWithABodyIsSaid has each call's status, with the texts of gRPC's own
// server, and the connection served as before.
func TestWhatIsWrongWithABodyIsSaid(t *testing.T) {
	_, addr := served(t, "")
	asks := message(&pb.FetchMetadataRequest{})
	const (
		none     = "cardinality violation: received no request message from non-client-streaming RPC"
		many     = "cardinality violation: received multiple request messages for non-client-streaming RPC"
		damaged  = "grpc: failed to unmarshal the received message: "
		unpacked = "grpc: received message after decompression larger than max 4194304"
		packed   = "grpc: failed to decompress the received message: "
		identity = "grpc: compressed flag set with identity or empty encoding"
		missing  = `grpc: Decompressor is not installed for grpc-encoding "snappy"`
	)
	for _, each := range []struct {
		what, call string
		body       []byte // nil: END_STREAM comes with the header
		encoding   string
		code       codes.Code
		text       string // what it begins with, where it ends in a colon and a space
	}{
		{"longer than any may be", "Publish", []byte{0, 0xff, 0xff, 0xff, 0xff}, "", codes.ResourceExhausted, "grpc: received message larger than max (4294967295 vs. 4194304)"},
		{"longer than any may be", "PublishAsync", []byte{0, 0xff, 0xff, 0xff, 0xff}, "", codes.ResourceExhausted, "grpc: received message larger than max (4294967295 vs. 4194304)"},
		{"too long by one", "FetchMetadata", []byte{0, 0, 0x40, 0, 1}, "", codes.ResourceExhausted, "grpc: received message larger than max (4194305 vs. 4194304)"},
		{"shorter than it says", "Publish", []byte{0, 0, 0, 0, 9, 1}, "", codes.Internal, "unexpected EOF"},
		{"shorter than it says", "PublishAsync", []byte{0, 0, 0, 0, 9, 1}, "", codes.Internal, "unexpected EOF"},
		{"shorter than it says", "Subscribe", []byte{0, 0, 0, 0, 9, 1}, "", codes.Internal, "unexpected EOF"},
		{"as long as may be, and ends", "Publish", []byte{0, 0, 0x40, 0, 0}, "", codes.Internal, "unexpected EOF"},
		{"a piece of a prefix", "Publish", []byte{0, 0, 0}, "", codes.Internal, "unexpected EOF"},
		{"a piece of a prefix", "PublishAsync", []byte{0, 0, 0}, "", codes.Internal, "unexpected EOF"},
		{"nothing", "Publish", nil, "", codes.Internal, none},
		{"an empty frame", "Publish", []byte{}, "", codes.Internal, none},
		{"nothing", "Subscribe", nil, "", codes.Internal, none},
		{"nothing", "PublishAsync", nil, "", codes.OK, ""},
		{"an empty frame", "PublishAsync", []byte{}, "", codes.OK, ""},
		{"two messages", "FetchMetadata", slices.Concat(asks, asks), "", codes.Internal, many},
		{"two messages", "Subscribe", slices.Concat(message(reading(true)), asks), "", codes.Internal, many},
		{"compressed, and not said how", "FetchMetadata", prefixed(1, asks[5:]), "", codes.Internal, identity},
		{"compressed, and not said how", "PublishAsync", prefixed(1, asks[5:]), "", codes.Internal, identity},
		{"compressed by nothing", "FetchMetadata", prefixed(1, asks[5:]), "identity", codes.Internal, identity},
		{"a flag that is not known", "FetchMetadata", prefixed(2, asks[5:]), "", codes.Internal, "grpc: received unexpected payload format 2"},
		{"compressed by what is not known", "FetchMetadata", prefixed(1, asks[5:]), "snappy", codes.Unimplemented, missing},
		{"not compressed, and what is not known", "FetchMetadata", asks, "snappy", codes.Unimplemented, missing},
		{"compressed by what is not known", "PublishAsync", prefixed(1, asks[5:]), "snappy", codes.Unimplemented, missing},
		{"not compressed", "FetchMetadata", asks, "identity", codes.OK, ""},
		{"not compressed", "FetchMetadata", asks, "gzip", codes.OK, ""},
		{"compressed", "FetchMetadata", prefixed(1, zipped(asks[5:])), "gzip", codes.OK, ""},
		{"compressed, and too long", "FetchMetadata", prefixed(1, zipped(make([]byte, 4<<20+1))), "gzip", codes.ResourceExhausted, unpacked},
		{"compressed, and too long", "PublishAsync", prefixed(1, zipped(make([]byte, 4<<20+1))), "gzip", codes.ResourceExhausted, unpacked},
		{"not what it says", "FetchMetadata", prefixed(1, []byte("not gzip")), "gzip", codes.Internal, packed},
		{"cut off in what is compressed", "FetchMetadata", prefixed(1, zipped(bytes.Repeat([]byte("x"), 1000))[:15]), "gzip", codes.Internal, packed},
		{"not Protobuf", "FetchMetadata", prefixed(0, []byte{0xff, 0xff, 0xff}), "", codes.Internal, damaged},
		{"not Protobuf", "PublishAsync", prefixed(0, []byte{0xff, 0xff, 0xff}), "", codes.Internal, damaged},
		{"not Protobuf", "Subscribe", prefixed(0, []byte{0xff, 0xff, 0xff}), "", codes.Internal, damaged},
	} {
		t.Run(each.call+" with "+each.what+" "+each.encoding, func(t *testing.T) {
			c, encoding := dial(t, addr), each.encoding
			if encoding == "" {
				encoding = absent
			}
			s := c.begin(each.body == nil, api+each.call, "grpc-encoding", encoding)
			if each.body != nil {
				c.send(s, true, each.body)
			}
			code, said := c.finish(s)
			if strings.HasSuffix(each.text, ": ") && strings.HasPrefix(said, each.text) {
				said = each.text
			}
			wantStatus(t, code, said, each.code, each.text)
			if n := len(s.messages(t)); code != codes.OK && n != 0 {
				t.Errorf("%d messages before the refusal", n)
			}
			c.publish([]byte("as before"))
		})
	}
}

// zipped is compressed with gzip.
func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func TestMessagesMayBeCompressedOrNot(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	s := c.open(api+"PublishAsync", "grpc-encoding", "gzip", "grpc-accept-encoding", "gzip")
	var want []string
	for i := range 20 {
		v := strings.Repeat(fmt.Sprint(i), 100*i)
		b := message(publishing([]byte(v)))
		if i%2 == 0 {
			b = prefixed(1, zipped(b[5:]))
		}
		c.send(s, i == 19, b)
		want = append(want, v)
	}
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	if e := value(s.header, "grpc-encoding"); e != "" && e != "identity" {
		t.Errorf("answered in %s", e)
	}
	c.awaitAcks(s, 20, 0)
	if got := stored(t, addr); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestAMessageThatIsTooLongIsRefusedAtItsPrefix has calls that go on: the answer does not
// wait for what follows, and what follows is taken and thrown away, in both windows.
func TestAMessageThatIsTooLongIsRefusedAtItsPrefix(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	for range 12 { // a megabyte each, more than the connection's window
		s := c.open(api + "Publish")
		c.data(s, false, []byte{0, 0x7f, 0xff, 0xff, 0xff})
		code, said := c.finish(s)
		wantStatus(t, code, said, codes.ResourceExhausted, "grpc: received message larger than max (2147483647 vs. 4194304)")
		for range 64 {
			c.until("the connection has a window", func() bool { return c.window >= 16384 })
			c.data(s, false, make([]byte, 16384))
		}
		c.write("RST_STREAM", func() error { return c.fr.WriteRSTStream(s.id, 8) })
	}
	c.publish([]byte("as before"))
}

// TestAMessageAsLongAsAllowedGoesBothWays has one of 20 MiB.
func TestAMessageAsLongAsAllowedGoesBothWays(t *testing.T) {
	_, addr := served(t, `clustering.replication.max.bytes: 20MB`)
	c := dial(t, addr)
	big := strings.Repeat("0123456789abcdef", 20<<16-64)
	c.publish([]byte(big))
	if got := stored(t, addr); len(got) != 1 || got[0] != big {
		t.Error("another message came back")
	}
	code, said, _ := c.unary(api+"Publish", publishing(make([]byte, 21<<20)), patient...)
	if code != codes.ResourceExhausted || !strings.HasPrefix(said, "grpc: received message larger than max (") {
		t.Error(code, said)
	}
	c.publish([]byte("as before"))
}

// TestManyLongMessagesOfOneCallAreAnswered has each make a batch of its own, whose fate may be
// known before the next one is looked at.
func TestManyLongMessagesOfOneCallAreAnswered(t *testing.T) {
	_, addr := served(t, large)
	body := message(publishing(make([]byte, 3<<20)))
	for i := range int64(5) {
		c := dial(t, addr)
		s := c.open(api + "PublishAsync")
		for n := range 20 {
			c.send(s, n == 19, body)
		}
		if code, said := c.finish(s); code != codes.OK {
			t.Fatal(code, said)
		}
		c.awaitAcks(s, 20, 20*i)
		c.hangUp()
	}
}

// TestMessagesThatAreTooLongToBeStoredAreEachRefused has some of a call that are under gRPC's
// limit and over that of streams, with others that are published meanwhile.
func TestMessagesThatAreTooLongToBeStoredAreEachRefused(t *testing.T) {
	_, addr := served(t, "")
	s := newScript(t)
	s.headers(1, s.block(api+"PublishAsync"), true, false)
	for range 100 {
		for piece := range slices.Chunk(message(publishing(make([]byte, 3<<20))), 16384) {
			s.did(s.fr.WriteData(1, false, piece))
		}
	}
	besides(t, addr, func() error { return s.play(addr, true) })
}
