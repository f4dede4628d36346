package atrest

import (
	"bytes"
	"errors"
	"testing"
)

func TestAKeyFileOpensWithItsTextOnly(t *testing.T) {
	k, file, err := NewKeyring("one", AES, cheap)
	must(t, err)
	again, next, err := OpenKeyring(file, "one", "", AES)
	must(t, err)
	if next != nil || len(again.keys) != 1 || again.keys[0] != k.keys[0] {
		t.Fatal("the key file does not give back its store key")
	}
	for _, previous := range []string{"", "three"} {
		if _, _, err := OpenKeyring(file, "two", previous, AES); !errors.Is(err, ErrWrongKey) {
			t.Errorf("with previous key %q: %v", previous, err)
		}
	}
}

func TestThePreviousTextReWrapsUnderTheNewOne(t *testing.T) {
	old, file, err := NewKeyring("one", AES, cheap)
	must(t, err)
	block := AppendBlock(nil, []byte("before"), 0, None, old.Sealer("x"), nil)
	_, next, err := OpenKeyring(file, "two", "one", ChaCha)
	must(t, err)
	if next == nil {
		t.Fatal("nothing was re-wrapped")
	}
	if _, _, err := OpenKeyring(next, "one", "", AES); !errors.Is(err, ErrWrongKey) {
		t.Fatalf("the old text opens the new file: %v", err)
	}
	k, more, err := OpenKeyring(next, "two", "one", ChaCha)
	must(t, err)
	if more != nil {
		t.Fatal("re-wrapped twice")
	}
	if got, _, err := k.Opener("x").Block(nil, bytes.Clone(block), MaxBlock, nil); err != nil || string(got) != "before" {
		t.Fatalf("read %q, %v", got, err)
	}
	// What is written now is not readable with the old file and the old text.
	fresh := AppendBlock(nil, []byte("after"), 0, None, k.Sealer("x"), nil)
	if _, _, err := old.Opener("x").Block(nil, fresh, MaxBlock, nil); !errors.Is(err, ErrNoKey) {
		t.Fatalf("the old store key reads what is new: %v", err)
	}
}

func TestADamagedKeyFileIsToldFromAWrongKey(t *testing.T) {
	_, file, err := NewKeyring("one", AES, cheap)
	must(t, err)
	for i := range len(file) * 8 {
		b := bytes.Clone(file)
		b[i/8] ^= 1 << (i % 8)
		if _, _, err := OpenKeyring(b, "one", "", AES); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
	for i := range len(file) {
		if _, _, err := OpenKeyring(file[:i], "one", "", AES); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
}

func TestNamesAreThoseOfTheConfiguration(t *testing.T) {
	for name, want := range map[string]Cipher{"aes": AES, "AES": AES, "chacha": ChaCha, "ChaChaPoly": ChaCha} {
		if c, err := ParseCipher(name); err != nil || c != want {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	for name, want := range allCompressions {
		if c, err := ParseCompression(name); err != nil || c != want {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if _, err := ParseCipher("rot13"); err == nil {
		t.Error("an unknown cipher was accepted")
	}
	if _, err := ParseCompression("lzma"); err == nil {
		t.Error("an unknown compression was accepted")
	}
}

func FuzzOpenKeyring(f *testing.F) {
	_, file, err := NewKeyring("one", AES, cheap)
	must(f, err)
	f.Add(file)
	f.Add([]byte(keyFileMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := checkKeyFile(b); err != nil || c.LogN > 8 {
			return // not to spend the time on scrypt
		}
		if k, _, err := OpenKeyring(b, "one", "", AES); err == nil && len(k.keys) == 0 {
			t.Fatal("a keyring without keys")
		}
	})
}
