package oracle_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/nats.go"
)

// show puts a value that the library has given into the form in which both servers are
// compared.
func (e *end) show(v reflect.Value) any {
	for v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	switch x := v.Interface().(type) {
	case error:
		return e.showError(x)
	case *jsm.Stream, *jsm.Consumer, *jsm.MsgInfo:
		return e.showGetters(v)
	case *jsm.Manager, *jsm.StreamPager, *nats.Conn:
		return fmt.Sprintf("%T", x)
	case *nats.Msg:
		return e.tree(x, true)
	case jsm.SnapshotProgress, jsm.RestoreProgress:
		return e.showGetters(v)
	case string:
		return x
	case []byte:
		return e.payload(string(x))
	}
	if v.Kind() == reflect.Slice {
		out := []any{}
		for _, x := range v.Seq2() {
			out = append(out, e.show(x))
		}
		return out
	}
	return e.decoded(v.Interface())
}

// decoded is the JSON of a value, masked.
func (e *end) decoded(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return e.payload(string(b))
}

// payload is a text as a masked tree where it is JSON.
func (e *end) payload(text string) any {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return text
	}
	return e.maskTree("", v)
}

// volatile are getters whose results are times or are made up by the server.
var volatile = []string{"StartTime", "EndTime", "BytesPerSecond", "BytesReceived", "BytesSent", "BytesExpected", "UncompressedBytesReceived", "TimeStamp"}

// showGetters calls every method of a value that takes nothing and gives one thing
// other than an error.
func (e *end) showGetters(v reflect.Value) any {
	of := strings.TrimPrefix(strings.TrimPrefix(v.Type().String(), "*"), "jsm.")
	out := map[string]any{}
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		if m.Type.NumIn() != 1 || m.Type.NumOut() != 1 || m.Type.Out(0) == errorType || m.Name == "TryLock" {
			continue
		}
		driven[of+"."+m.Name] = true
		switch got := v.Method(i).Call(nil)[0]; {
		case of == "Consumer" && m.Name == "StartTime", !slices.Contains(volatile, m.Name):
			out[m.Name] = e.show(got)
		default:
			out[m.Name] = "<volatile>"
		}
	}
	return out
}

// showError gives all fields of an error of the API, else the text.
func (e *end) showError(err error) any {
	if err == nil {
		return nil
	}
	if x, ok := apiError(err); ok {
		return e.decoded(x)
	}
	return err.Error()
}

// madeUp is what the library makes up, and what only a server knows.
var madeUp = regexp.MustCompile(`_INBOX\.[A-Za-z0-9._]+|stream_pager_[0-9]+|\$JS\.SNAPSHOT\.[A-Za-z]+\.[A-Za-z0-9._]+|\d+-\d\d-\d\d [0-9:.]+ \+0000 UTC`)

// hide masks what is made up in all texts of a tree.
func hide(tree any) any {
	switch x := tree.(type) {
	case string:
		return madeUp.ReplaceAllString(x, "<made up>")
	case map[string]any:
		for k, v := range x {
			x[k] = hide(v)
		}
	case []any:
		for i, v := range x {
			x[i] = hide(v)
		}
	}
	return tree
}
