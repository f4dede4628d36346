package http2

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/net/http2"
)

// all are frames of each kind, well-formed.
func all() []byte {
	b := AppendSettings(nil, Value{InitialWindowSize, 1 << 20}, Value{MaxFrameSize, LeastMax})
	b = AppendSettingsAck(b)
	b = AppendPing(b, false, []byte("12345678"))
	b = AppendWindow(b, 0, 1000)
	b = AppendHeaders(b, 1, AppendField(AppendStatus([]byte{BlockStart}, "200"), "name", "value"), false)
	b = appendHeader(b, 4, Data, FlagPadded|FlagEndStream, 1)
	b = append(b, 1, 'a', 'b', 0)
	b = appendHeader(b, 5, Priority, 0, 3)
	b = append(b, 0, 0, 0, 1, 7)
	b = AppendReset(b, 1, RefusedStream)
	return AppendGoAway(b, 1, NoError, "bye")
}

// judge decodes what a frame says.
func judge(f *Frame) (err error) {
	switch f.Type {
	case Data:
		_, err = DecodeBody(f)
	case Headers:
		_, err = DecodeHeaders(f)
	case Priority:
		err = DecodePriority(f)
	case ResetStream:
		_, err = DecodeReset(f)
	case Settings:
		err = DecodeSettings(f, func(Setting, uint32) error { return nil })
	case Ping:
		err = DecodePing(f)
	case GoAway:
		_, err = DecodeGoAway(f)
	case WindowUpdate:
		_, err = DecodeWindow(f)
	}
	return err
}

// What is decoded here is what the framer of golang.org/x/net takes, too, frame by frame;
// and nothing is read beyond a frame.
func FuzzFrames(f *testing.F) {
	f.Add(all())
	f.Add(all()[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		other := http2.NewFramer(nil, bytes.NewReader(b))
		other.SetMaxReadFrameSize(LeastMax)
		other.AllowIllegalReads = true
		for len(b) > 0 {
			var f Frame
			n, need, err := DecodeFrame(b, &f)
			if err == nil && n == 0 {
				if need <= len(b) {
					t.Fatalf("%d of %d bytes are not enough", len(b), need)
				}
				return
			}
			want, wantErr := other.ReadFrame()
			if err != nil {
				if wantErr == nil {
					t.Fatalf("%v, and it is taken elsewhere: %v", err, want.Header())
				}
				return
			}
			if n != HeaderLen+len(f.Payload) || len(f.Payload) > LeastMax {
				t.Fatal(n, len(f.Payload))
			}
			b = b[n:]
			err = judge(&f)
			if wantErr != nil {
				if known := f.Type <= Continuation && f.Type != PushPromise && f.Type != Continuation; known && err == nil {
					t.Fatalf("frame %d with flags %x in stream %d of %d bytes is refused elsewhere: %v", f.Type, f.Flags, f.Stream, len(f.Payload), wantErr)
				}
				return
			}
			h := want.Header()
			if uint8(h.Type) != uint8(f.Type) || uint8(h.Flags) != f.Flags || h.StreamID != f.Stream || int(h.Length) != len(f.Payload) {
				t.Fatalf("%v, not %v", f, h)
			}
			if d, ok := want.(*http2.DataFrame); ok {
				body, err := DecodeBody(&f)
				if err != nil || !bytes.Equal(body, d.Data()) {
					t.Fatal(err, body, d.Data())
				}
			}
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
		}
	})
}
