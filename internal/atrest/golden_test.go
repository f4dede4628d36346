package atrest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of this version that are missing")

const goldenText = "a key that is written down"

// golden reads a file of this version, or writes it.
func golden(t *testing.T, name string, write func() []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "golden-1", name)
	if _, err := os.Stat(path); *update && err != nil {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, write(), 0o644))
	}
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func TestWhatThisVersionWroteIsRead(t *testing.T) {
	file := golden(t, "keys", func() []byte {
		_, b, err := NewKeyring(goldenText, AES, cheap)
		must(t, err)
		return b
	})
	k, _, err := OpenKeyring(file, goldenText, "", AES)
	must(t, err)
	plain := words(500)
	for cn, c := range allCiphers {
		k.cipher = c
		if c == Clear {
			k = nil
		}
		for zn, z := range allCompressions {
			b := golden(t, fmt.Sprintf("block-%s-%s", cn, zn), func() []byte {
				return AppendBlock(nil, plain, 64, z, k.Sealer("segment"), testContext)
			})
			got, h, err := k.Opener("segment").Block(nil, b, MaxBlock, testContext)
			if err != nil || !bytes.Equal(got, plain) || h.Place != 64 || h.Compression != z || h.Encrypted() != (c != Clear) {
				t.Errorf("block %s %s: %+v, %v", cn, zn, h, err)
			}
		}
		if k, _, err = OpenKeyring(file, goldenText, "", AES); err != nil {
			t.Fatal(err)
		}
	}
	b := golden(t, "body", func() []byte {
		env, data := sealed(k.Sealer("journal"), plain, testContext)
		return append(env, data[:len(plain)]...)
	})
	n := EnvelopeLen(len(plain))
	got := make([]byte, len(plain))
	if bad, err := k.Opener("journal").Body(got, b[:n], b[n:], testContext); err != nil || bad != nil || !bytes.Equal(got, plain) {
		t.Errorf("body: bad %v, %v", bad, err)
	}
	b = golden(t, "pages", func() []byte {
		s := k.PageSealer()
		return s.AppendPage(s.AppendPage(s.Head(), words(PageSize), 0), plain, 1)
	})
	o, err := k.PageOpener(b[:PagesHead])
	must(t, err)
	if got, err := o.Page(nil, b[PageAt(1):], 1); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("page: %v", err)
	}
}
