package stream

import (
	"encoding/json"
	"testing"
	"unsafe"
)

func TestADocIsKeptOnce(t *testing.T) {
	b := encodeConfig(&Config{Name: "s", Subjects: []string{"s"}, Doc: json.RawMessage(`{"name":"s", "a": [1, 2]}`)})
	c, err := decodeConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	doc := within(b, c.Doc)
	if string(doc) != string(c.Doc) {
		t.Fatalf("%s is not %s", doc, c.Doc)
	}
	if at := uintptr(unsafe.Pointer(&doc[0])) - uintptr(unsafe.Pointer(&b[0])); at >= uintptr(len(b)) {
		t.Error("the document is a copy")
	}
	if cap(doc) != len(doc) {
		t.Error("whoever appends to the document writes over what follows")
	}
	if got := within([]byte("abc"), []byte("x")); string(got) != "x" {
		t.Errorf("what is not there became %q", got)
	}
}
