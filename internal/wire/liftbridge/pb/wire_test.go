package pb

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestNumbersAndTypesAreThoseOfTheProtocol holds the generated code against a table of the
// wire.
func TestNumbersAndTypesAreThoseOfTheProtocol(t *testing.T) {
	b, err := os.ReadFile("testdata/wire.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			want = append(want, line)
		}
	}
	got := describe(File_liftbridge_proto)
	slices.Sort(want)
	slices.Sort(got)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("not of the protocol: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if name := File_liftbridge_proto.Services().Get(0).FullName(); name != "proto.API" {
		t.Error(name)
	}
}

// describe writes a file as the table does.
func describe(file protoreflect.FileDescriptor) (out []string) {
	out = enums(file.Enums())
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		out = append(out, enums(m.Enums())...)
		var fields []string
		for k := range m.Fields().Len() {
			f := m.Fields().Get(k)
			fields = append(fields, fmt.Sprintf("%d %s %s", f.Number(), f.Name(), typeOf(f)))
		}
		line := string(m.Name())
		if len(fields) > 0 {
			line += ": " + strings.Join(fields, "; ")
		}
		out = append(out, line)
	}
	for i := range file.Services().Len() {
		for k := range file.Services().Get(i).Methods().Len() {
			m := file.Services().Get(i).Methods().Get(k)
			streams := map[bool]string{true: "stream "}
			out = append(out, fmt.Sprintf("rpc %s(%s%s) %s%s", m.Name(), streams[m.IsStreamingClient()], m.Input().Name(), streams[m.IsStreamingServer()], m.Output().Name()))
		}
	}
	return out
}

func enums(all protoreflect.EnumDescriptors) (out []string) {
	for i := range all.Len() {
		e := all.Get(i)
		var values []string
		for k := range e.Values().Len() {
			v := e.Values().Get(k)
			values = append(values, fmt.Sprintf("%s=%d", v.Name(), v.Number()))
		}
		out = append(out, strings.TrimPrefix(string(e.FullName()), "proto.")+": "+strings.Join(values, ", "))
	}
	return out
}

func typeOf(f protoreflect.FieldDescriptor) string {
	one := func(f protoreflect.FieldDescriptor) string {
		switch {
		case f.Message() != nil:
			return string(f.Message().Name())
		case f.Enum() != nil:
			return string(f.Enum().Name())
		}
		return f.Kind().String()
	}
	switch {
	case f.IsMap():
		return fmt.Sprintf("map<%s, %s>", one(f.MapKey()), one(f.MapValue()))
	case f.IsList():
		return "repeated " + one(f)
	}
	return one(f)
}
