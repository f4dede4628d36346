package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportsGoDownOnly(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		room := f.room()
		if room == "" || in(outside, room) {
			continue
		}
		step := stepOf(room)
		if step < 0 {
			h.breaks(t, f.ast.Package, "package internal/%s stands on no floor; give it one in rules_test.go", room)
			continue
		}
		for _, im := range imports(f.ast) {
			target, ours := strings.CutPrefix(im.path, module+"/internal/")
			if !ours {
				clients := f.test && strings.HasPrefix(im.path, module+"/api/") // what clients are given
				if !clients && (im.path == module || strings.HasPrefix(im.path, module+"/")) {
					h.breaks(t, im.at, "internal/%s imports %s: nothing below imports the way in", room, im.path)
				}
				continue
			}
			if sameRoom(room, target) || f.test && step >= stepOf(target) && stepOf(target) >= 0 {
				continue
			}
			if up := stepOf(target); up < 0 || up >= step {
				h.breaks(t, im.at, "internal/%s (step %d) imports internal/%s (step %d): imports go down only", room, step, target, up)
			}
		}
	}
}

// sameRoom reports whether one package lies in the other's directory.
func sameRoom(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

func TestDoorsDoNotImportEachOther(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		door, isDoor := strings.CutPrefix(f.dir, "internal/door/")
		if !isDoor || f.test {
			continue
		}
		for _, im := range imports(f.ast) {
			other, ok := strings.CutPrefix(im.path, module+"/internal/door/")
			if ok && !sameRoom(door, other) {
				h.breaks(t, im.at, "door %s imports door %s", door, other)
			}
		}
	}
}

func TestOnlyDoorsAndAboveImportCodecs(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		room := f.room()
		if room == "" || f.test || in(outside, room) || stepOf(room) >= firstDoor {
			continue
		}
		for _, im := range imports(f.ast) {
			codec, ok := strings.CutPrefix(im.path, module+"/internal/wire/")
			if ok && !sameRoom(room, "wire/"+codec) {
				h.breaks(t, im.at, "internal/%s imports the codec of %s: nothing below floor 3 knows a protocol", room, codec)
			}
		}
	}
}

func TestDoorsImportTheirCodecAsWire(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		door, isDoor := strings.CutPrefix(f.dir, "internal/door/")
		if !isDoor {
			continue
		}
		for _, im := range imports(f.ast) {
			if im.path == module+"/internal/wire/"+door && im.as != "wire" {
				h.breaks(t, im.at, "door %s imports its codec as %q, not as wire", door, im.as)
			}
		}
	}
}

func TestProductImportsNoBroker(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		for _, im := range imports(f.ast) {
			switch {
			case startsWithAny(im.path, brokers):
				h.breaks(t, im.at, "%s is a broker or its client", im.path)
			case strings.HasPrefix(im.path, natsServer) && im.path != natsServerConf:
				h.breaks(t, im.at, "%s: of nats-server only the conf package is used", im.path)
			case strings.HasPrefix(im.path, natsClient) && strings.HasPrefix(f.dir, "internal/") && !f.test:
				h.breaks(t, im.at, "%s: the server needs no client", im.path)
			}
		}
	}
}

func TestModuleRequiresNoBroker(t *testing.T) {
	h := house(t)
	b, err := os.ReadFile(filepath.Join(h.root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(b), "\n") {
		if startsWithAny(strings.TrimPrefix(strings.TrimSpace(line), "require "), brokers) {
			t.Errorf("go.mod:%d: %s: the product requires no broker", i+1, strings.TrimSpace(line))
		}
	}
}

func startsWithAny(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
