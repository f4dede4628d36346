package liftbridge_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"regexp"
	"slices"
	"strings"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// times are the fields that hold one, in nanoseconds.
var times = map[protoreflect.Name]bool{
	"timestamp": true, "startTimestamp": true, "stopTimestamp": true, "creationTimestamp": true, "firstTimestamp": true, "latestTimestamp": true,
	"receptionTimestamp": true, "commitTimestamp": true,
}

// unordered are the lists that have no order, or none with the old server.
var unordered = map[protoreflect.FullName]bool{
	"proto.FetchConsumerGroupAssignmentsResponse.assignments": true, "proto.FetchMetadataResponse.streamMetadata": true,
	"proto.PauseStreamOp.partitions": true, "proto.ResumeStreamOp.partitions": true, "proto.SetStreamReadonlyOp.partitions": true,
}

// show puts a message into words, each field of it, without what differs each time: of
// times the order is shown, of each partition for itself.
func (s *side) show(m proto.Message) string {
	var stamps []int64
	eachTime(m.ProtoReflect(), func(t int64) { stamps = append(stamps, t) })
	slices.Sort(stamps)
	return s.fields(m.ProtoReflect(), slices.Compact(stamps))
}

// alone is a message whose times have nothing to do with those around it.
const alone = "PartitionMetadata"

// eachTime finds the times in a message.
func eachTime(m protoreflect.Message, f func(int64)) { eachTimeIn(m, f, true) }

func eachTimeIn(m protoreflect.Message, f func(int64), outermost bool) {
	if !outermost && m.Descriptor().Name() == alone {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case times[fd.Name()]:
			if t := v.Int(); plausible(t) {
				f(t)
			}
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				eachTimeIn(v.Message(), f, false)
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				eachTimeIn(v.List().Get(i).Message(), f, false)
			}
		case fd.Message() != nil && !fd.IsMap():
			eachTimeIn(v.Message(), f, false)
		}
		return true
	})
}

// plausible says whether a number is a time of these days.
func plausible(t int64) bool { return t > 1e18 && t < 4e18 }

func (s *side) fields(m protoreflect.Message, stamps []int64) string {
	var out []string
	all := m.Descriptor().Fields()
	for i := range all.Len() {
		fd := all.Get(i)
		if !m.Has(fd) {
			continue
		}
		v := m.Get(fd)
		var said string
		switch {
		case fd.IsMap():
			said = s.entries(fd, v.Map(), stamps)
		case fd.IsList():
			var list []string
			for i := range v.List().Len() {
				list = append(list, s.value(fd, v.List().Get(i), stamps))
			}
			if unordered[fd.FullName()] {
				slices.Sort(list)
			}
			said = "[" + strings.Join(list, " ") + "]"
		default:
			said = s.value(fd, v, stamps)
		}
		out = append(out, string(fd.Name())+":"+said)
	}
	return "{" + strings.Join(out, " ") + "}"
}

func (s *side) entries(fd protoreflect.FieldDescriptor, m protoreflect.Map, stamps []int64) string {
	said := map[string]string{}
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		said[k.String()] = s.value(fd.MapValue(), v, stamps)
		return true
	})
	var out []string
	for _, k := range slices.Sorted(maps.Keys(said)) {
		out = append(out, k+":"+said[k])
	}
	return "{" + strings.Join(out, " ") + "}"
}

// value shows one value of a field.
func (s *side) value(fd protoreflect.FieldDescriptor, v protoreflect.Value, stamps []int64) string {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		if fd.Message().Name() == alone {
			return s.show(v.Message().Interface())
		}
		return s.fields(v.Message(), stamps)
	case protoreflect.EnumKind:
		if d := fd.Enum().Values().ByNumber(v.Enum()); d != nil {
			return string(d.Name())
		}
		return fmt.Sprint(v.Enum())
	case protoreflect.BytesKind:
		if e := new(pb.ActivityStreamEvent); s.events && fd.FullName() == "proto.Message.value" && proto.Unmarshal(v.Bytes(), e) == nil {
			return s.show(e)
		}
		return shorten(string(v.Bytes()))
	case protoreflect.StringKind:
		return s.normal(shorten(v.String()))
	case protoreflect.Int64Kind:
		if n, found := slices.BinarySearch(stamps, v.Int()); found && times[fd.Name()] {
			return fmt.Sprint("T", n+1)
		}
	case protoreflect.Uint64Kind:
		if fd.Name() == "epoch" || fd.Name() == "groupEpoch" {
			return s.alias("epoch", v.String())
		}
		return "a number" // of an event
	case protoreflect.Int32Kind:
		if fd.Name() == "port" && v.String() == s.port {
			return "its own"
		}
		if s.busy && (fd.Name() == "partitionCount" || fd.Name() == "leaderCount") {
			return "some"
		}
	}
	return v.String()
}

// shown is how long a text is shown.
const shown = 100

func shorten(text string) string {
	if len(text) <= shown {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q and so on, %d bytes", text[:8], len(text))
}

// alias gives a name to a value of this server: the same one each time. Nothing is nothing.
func (s *side) alias(kind, value string) string {
	if value == "0" {
		return value
	}
	k := kind + " " + value
	if s.names[k] == "" {
		s.names[k] = fmt.Sprintf("%s %d", kind, len(s.names)+1)
	}
	return s.names[k]
}

var (
	inboxes = regexp.MustCompile(`ns\.ack\.[A-Za-z0-9]{22}`)
	epochs  = regexp.MustCompile(`epoch: (\d+)`)
)

// normal is a text without what differs each time.
func (s *side) normal(text string) string {
	text = inboxes.ReplaceAllString(text, "an inbox")
	return epochs.ReplaceAllStringFunc(text, func(e string) string { return s.alias("epoch", strings.TrimPrefix(e, "epoch: ")) })
}

// Types of envelopes.
const (
	envelopePublish byte = 0
	envelopeAck     byte = 1
)

// envelope says what is in an envelope, or what else it is.
func (s *side) envelope(b []byte) string {
	var m proto.Message
	kind := "an envelope"
	switch {
	case len(b) < 8 || !bytes.Equal(b[:7], []byte{0xb9, 0x0e, 0x43, 0xb4, 0, 8, 0}):
		return shorten(string(b))
	case b[7] == envelopePublish:
		m = &pb.Message{}
	case b[7] == envelopeAck:
		m, kind = &pb.Ack{}, "an ack"
	default:
		return shorten(string(b))
	}
	if err := proto.Unmarshal(b[8:], m); err != nil {
		return err.Error()
	}
	return kind + " " + s.show(m)
}

// sealed puts a message into an envelope.
func (s *side) sealed(kind byte, m proto.Message) []byte {
	s.t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	return append([]byte{0xb9, 0x0e, 0x43, 0xb4, 0, 8, 0, kind}, b...)
}

// summed puts a message into an envelope with a checksum.
func (s *side) summed(m proto.Message) []byte {
	s.t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	head := binary.BigEndian.AppendUint32([]byte{0xb9, 0x0e, 0x43, 0xb4, 0, 12, 1, envelopePublish}, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return append(head, b...)
}
