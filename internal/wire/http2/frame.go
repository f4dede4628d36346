package http2

import (
	"encoding/binary"
	"fmt"
)

// Preface is what a client sends first.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Lengths in bytes.
const (
	HeaderLen = 9       // of a frame's header
	LeastMax  = 1 << 14 // what every peer takes as a frame's payload, and all that we do
	mostMax   = 1<<24 - 1
	MaxWindow = 1<<31 - 1
	// UsualWindow is the flow-control window of connections and streams of which nothing
	// was said.
	UsualWindow = 1<<16 - 1
)

// Type is a kind of frame.
type Type uint8

// The kinds of frames.
const (
	Data Type = iota
	Headers
	Priority
	ResetStream
	Settings
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation
)

// Flags of frames.
const (
	FlagEndStream  = 0x1 // Data, Headers
	FlagAck        = 0x1 // Settings, Ping
	FlagEndHeaders = 0x4 // Headers, Continuation
	FlagPadded     = 0x8 // Data, Headers
	FlagPriority   = 0x20
)

// Code says why a stream or connection ends.
type Code uint32

// The codes that are sent here.
const (
	NoError          Code = 0x0
	ProtocolError    Code = 0x1
	FlowControlError Code = 0x3
	StreamClosed     Code = 0x5
	FrameSizeError   Code = 0x6
	RefusedStream    Code = 0x7
	CompressionError Code = 0x9
	EnhanceYourCalm  Code = 0xb
)

// Error is a breach of the protocol. Stream is 0 where it ends the connection.
type Error struct {
	Stream uint32
	Code   Code
	Text   string
}

func (e *Error) Error() string {
	if e.Stream == 0 {
		return fmt.Sprintf("HTTP/2 connection error %d: %s", e.Code, e.Text)
	}
	return fmt.Sprintf("HTTP/2 error %d in stream %d: %s", e.Code, e.Stream, e.Text)
}

func broken(code Code, text string) *Error { return &Error{0, code, text} }

// Frame is one frame. Its payload points into what it was decoded from.
type Frame struct {
	Type    Type
	Flags   uint8
	Stream  uint32
	Payload []byte
}

// Has says whether a flag is set.
func (f *Frame) Has(flag uint8) bool { return f.Flags&flag != 0 }

// DecodeFrame takes a frame off the beginning of b. n is its length with its header; 0
// says that b does not hold all of it yet, and need how many bytes it takes, as far as
// that can be told. The error is FRAME_SIZE_ERROR for a frame that is longer than LeastMax.
func DecodeFrame(b []byte, f *Frame) (n, need int, err error) {
	if len(b) < HeaderLen {
		return 0, HeaderLen, nil
	}
	size := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if size > LeastMax {
		return 0, 0, broken(FrameSizeError, "a frame is longer than allowed")
	}
	if len(b) < HeaderLen+size {
		return 0, HeaderLen + size, nil
	}
	f.Type, f.Flags, f.Stream = Type(b[3]), b[4], binary.BigEndian.Uint32(b[5:])&MaxWindow
	f.Payload = b[HeaderLen : HeaderLen+size]
	return HeaderLen + size, 0, nil
}

// DecodeBody gives what a Data frame holds, without its padding.
func DecodeBody(f *Frame) ([]byte, error) {
	if f.Stream == 0 {
		return nil, broken(ProtocolError, "DATA without a stream")
	}
	return unpadded(f, f.Payload)
}

func unpadded(f *Frame, b []byte) ([]byte, error) {
	if !f.Has(FlagPadded) {
		return b, nil
	}
	if len(b) == 0 {
		return nil, broken(FrameSizeError, "no length of padding")
	}
	pad := int(b[0])
	if b = b[1:]; pad > len(b) {
		return nil, broken(ProtocolError, "more padding than payload")
	}
	return b[:len(b)-pad], nil
}

// priorityLen is how many bytes a stream's priority has.
const priorityLen = 5

// DecodeHeaders gives the part of a header block that a Headers frame holds. The error
// may be one of the stream; the block is given nevertheless, as it has to be decoded.
func DecodeHeaders(f *Frame) ([]byte, error) {
	if f.Stream == 0 {
		return nil, broken(ProtocolError, "HEADERS without a stream")
	}
	b, err := unpadded(f, f.Payload)
	if err != nil || !f.Has(FlagPriority) {
		return b, err
	}
	if len(b) < priorityLen {
		return nil, broken(FrameSizeError, "HEADERS without the priority that it announces")
	}
	on := binary.BigEndian.Uint32(b) & MaxWindow
	if b = b[priorityLen:]; on == f.Stream {
		return b, &Error{f.Stream, ProtocolError, "a stream depends on itself"}
	}
	return b, nil
}

// DecodePriority checks a Priority frame, which says nothing of interest.
func DecodePriority(f *Frame) error {
	switch {
	case f.Stream == 0:
		return broken(ProtocolError, "PRIORITY without a stream")
	case len(f.Payload) != priorityLen:
		return &Error{f.Stream, FrameSizeError, "length of PRIORITY"}
	case binary.BigEndian.Uint32(f.Payload)&MaxWindow == f.Stream:
		return &Error{f.Stream, ProtocolError, "a stream depends on itself"}
	}
	return nil
}

// DecodeReset gives why the client ends a stream.
func DecodeReset(f *Frame) (Code, error) {
	switch {
	case f.Stream == 0:
		return 0, broken(ProtocolError, "RST_STREAM without a stream")
	case len(f.Payload) != 4:
		return 0, broken(FrameSizeError, "length of RST_STREAM")
	}
	return Code(binary.BigEndian.Uint32(f.Payload)), nil
}

// DecodePing checks a Ping frame. Its payload has 8 bytes.
func DecodePing(f *Frame) error {
	switch {
	case f.Stream != 0:
		return broken(ProtocolError, "PING in a stream")
	case len(f.Payload) != 8:
		return broken(FrameSizeError, "length of PING")
	}
	return nil
}

// DecodeGoAway gives why the client ends the connection.
func DecodeGoAway(f *Frame) (Code, error) {
	switch {
	case f.Stream != 0:
		return 0, broken(ProtocolError, "GOAWAY in a stream")
	case len(f.Payload) < 8:
		return 0, broken(FrameSizeError, "length of GOAWAY")
	}
	return Code(binary.BigEndian.Uint32(f.Payload[4:])), nil
}

// DecodeWindow gives by how much a window grows: 1 to MaxWindow.
func DecodeWindow(f *Frame) (int64, error) {
	if len(f.Payload) != 4 {
		return 0, broken(FrameSizeError, "length of WINDOW_UPDATE")
	}
	n := binary.BigEndian.Uint32(f.Payload) & MaxWindow
	if n == 0 {
		return 0, &Error{f.Stream, ProtocolError, "WINDOW_UPDATE by nothing"}
	}
	return int64(n), nil
}

// Setting names what a peer says about itself.
type Setting uint16

// The settings that matter here.
const (
	HeaderTableSize      Setting = 1
	EnablePush           Setting = 2
	MaxConcurrentStreams Setting = 3
	InitialWindowSize    Setting = 4
	MaxFrameSize         Setting = 5
	MaxHeaderListSize    Setting = 6
)

// DecodeSettings calls set for each setting of a Settings frame that is no
// acknowledgement, when its value was checked.
func DecodeSettings(f *Frame, set func(s Setting, value uint32) error) error {
	b := f.Payload
	switch {
	case f.Stream != 0:
		return broken(ProtocolError, "SETTINGS in a stream")
	case f.Has(FlagAck) && len(b) > 0, len(b)%6 != 0:
		return broken(FrameSizeError, "length of SETTINGS")
	}
	for ; len(b) > 0; b = b[6:] {
		s, value := Setting(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint32(b[2:])
		switch {
		case s == EnablePush && value > 1:
			return broken(ProtocolError, "ENABLE_PUSH is neither 0 nor 1")
		case s == InitialWindowSize && value > MaxWindow:
			return broken(FlowControlError, "INITIAL_WINDOW_SIZE is too large")
		case s == MaxFrameSize && (value < LeastMax || value > mostMax):
			return broken(ProtocolError, "MAX_FRAME_SIZE is out of bounds")
		}
		if err := set(s, value); err != nil {
			return err
		}
	}
	return nil
}
