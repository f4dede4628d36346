package http2

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestHeaderBlocksNeedNoTableAndAreReadByTheLibrary(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	block := AppendStatus([]byte{BlockStart}, "200")
	block = AppendField(block, "content-type", "application/grpc")
	for _, n := range []int{0, 1, 126, 127, 128, 254, 255, 256, 16_383} {
		block = AppendField(block, "some-name", long[:n])
	}
	block = AppendField(block, "long", long)
	d := hpack.NewDecoder(4096, nil)
	for range 2 { // the second time as if other blocks had never been
		fields, err := d.DecodeFull(block)
		if err != nil {
			t.Fatal(err)
		}
		if fields[0].Value != "200" || fields[1].Value != "application/grpc" || fields[7].Value != long[:254] || fields[len(fields)-1].Value != long {
			t.Fatal(fields[:8])
		}
	}
	fields, err := d.DecodeFull(AppendStatus(nil, "415"))
	if err != nil || len(fields) != 1 || fields[0] != (hpack.HeaderField{Name: ":status", Value: "415"}) {
		t.Fatal(fields, err)
	}
}

func TestALongHeaderBlockGoesOnInContinuationFrames(t *testing.T) {
	block := bytes.Repeat([]byte{1, 2, 3}, 20_000)
	b := AppendHeaders(nil, 7, block, true)
	var got []byte
	var types []Type
	for len(b) > 0 {
		var f Frame
		n, _, err := DecodeFrame(b, &f)
		if err != nil || n == 0 || f.Stream != 7 {
			t.Fatal(n, err, f.Stream)
		}
		last := n == len(b)
		if f.Has(FlagEndHeaders) != last || (f.Type == Headers) != f.Has(FlagEndStream) {
			t.Fatal(f.Type, f.Flags)
		}
		types, got, b = append(types, f.Type), append(got, f.Payload...), b[n:]
	}
	if !bytes.Equal(got, block) || !slices.Equal(types, []Type{Headers, Continuation, Continuation, Continuation}) {
		t.Fatal(len(got), types)
	}
}

func TestWhatBreaksTheProtocolIsAnErrorOfTheStreamOrTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		f      Frame
		stream uint32
		code   Code
	}{
		"data without a stream":         {Frame{Type: Data, Payload: []byte("x")}, 0, ProtocolError},
		"more padding than payload":     {Frame{Type: Data, Stream: 1, Flags: FlagPadded, Payload: []byte{2, 0}}, 0, ProtocolError},
		"no length of padding":          {Frame{Type: Headers, Stream: 1, Flags: FlagPadded}, 0, FrameSizeError},
		"no priority":                   {Frame{Type: Headers, Stream: 1, Flags: FlagPriority, Payload: []byte("1234")}, 0, FrameSizeError},
		"headers depend on themselves":  {Frame{Type: Headers, Stream: 5, Flags: FlagPriority, Payload: []byte{0x80, 0, 0, 5, 1}}, 5, ProtocolError},
		"priority depends on itself":    {Frame{Type: Priority, Stream: 5, Payload: []byte{0x80, 0, 0, 5, 1}}, 5, ProtocolError},
		"length of a priority":          {Frame{Type: Priority, Stream: 5, Payload: []byte("1234")}, 5, FrameSizeError},
		"reset of the connection":       {Frame{Type: ResetStream, Payload: []byte("1234")}, 0, ProtocolError},
		"length of a reset":             {Frame{Type: ResetStream, Stream: 1}, 0, FrameSizeError},
		"settings in a stream":          {Frame{Type: Settings, Stream: 1}, 0, ProtocolError},
		"settings of odd length":        {Frame{Type: Settings, Payload: []byte("1234567")}, 0, FrameSizeError},
		"acknowledgement with settings": {Frame{Type: Settings, Flags: FlagAck, Payload: make([]byte, 6)}, 0, FrameSizeError},
		"push is 2":                     {Frame{Type: Settings, Payload: []byte{0, 2, 0, 0, 0, 2}}, 0, ProtocolError},
		"window is too large":           {Frame{Type: Settings, Payload: []byte{0, 4, 0x80, 0, 0, 0}}, 0, FlowControlError},
		"frames are too small":          {Frame{Type: Settings, Payload: []byte{0, 5, 0, 0, 0, 1}}, 0, ProtocolError},
		"ping in a stream":              {Frame{Type: Ping, Stream: 1, Payload: make([]byte, 8)}, 0, ProtocolError},
		"length of a ping":              {Frame{Type: Ping, Payload: make([]byte, 7)}, 0, FrameSizeError},
		"length of a goodbye":           {Frame{Type: GoAway, Payload: make([]byte, 7)}, 0, FrameSizeError},
		"goodbye in a stream":           {Frame{Type: GoAway, Stream: 1, Payload: make([]byte, 8)}, 0, ProtocolError},
		"window grows by nothing":       {Frame{Type: WindowUpdate, Stream: 3, Payload: []byte{0x80, 0, 0, 0}}, 3, ProtocolError},
		"length of a window":            {Frame{Type: WindowUpdate, Stream: 3}, 0, FrameSizeError},
	} {
		err, ok := judge(&c.f).(*Error)
		if !ok || err.Stream != c.stream || err.Code != c.code || err.Error() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var f Frame
	if _, _, err := DecodeFrame([]byte{0, 0x40, 1, 0, 0, 0, 0, 0, 1}, &f); err.(*Error).Code != FrameSizeError {
		t.Error(err)
	}
}
