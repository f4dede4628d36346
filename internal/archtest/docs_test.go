package archtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEveryPackageExplainsItself(t *testing.T) {
	h := house(t)
	first, doc := map[string]*source{}, map[string]*source{}
	for _, f := range h.files {
		if f.test {
			continue
		}
		if first[f.dir] == nil {
			first[f.dir] = f
		}
		if f.name == "doc.go" {
			doc[f.dir] = f
		}
	}
	for dir, f := range first {
		d := doc[dir]
		if d == nil {
			h.breaks(t, f.ast.Package, "package %s has no doc.go", dir)
			continue
		}
		text := d.ast.Doc.Text()
		if !strings.HasPrefix(text, "Package "+d.ast.Name.Name+" ") && !strings.HasPrefix(text, "Command ") {
			h.breaks(t, d.ast.Package, "doc.go does not begin with the package's name")
		}
	}
}

// unwanted are texts that no tracked file holds. They are put together here so
// that this file does not hold them either.
var unwanted = []struct {
	text, why string
	goOnly    bool
}{
	{"/wo" + "rk/", "a path of one machine", false},
	{"/ro" + "ot/", "a path of one machine", false},
	{"TO" + "DO", "unfinished work belongs into an issue", true},
	{"FIX" + "ME", "unfinished work belongs into an issue", true},
	{"//no" + "lint", "a warning is mended, not silenced", true},
}

func TestNoFileHoldsUnwantedText(t *testing.T) {
	h := house(t)
	for _, name := range tracked(t, h.root) {
		b, err := os.ReadFile(filepath.Join(h.root, name))
		if os.IsNotExist(err) {
			continue // removed, not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
			continue
		}
		for i, line := range strings.Split(string(b), "\n") {
			for _, u := range unwanted {
				if strings.Contains(line, u.text) && (!u.goOnly || strings.HasSuffix(name, ".go")) {
					t.Errorf("%s:%d: holds %q: %s", name, i+1, u.text, u.why)
				}
			}
		}
	}
}
