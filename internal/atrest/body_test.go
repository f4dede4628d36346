package atrest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// sealed gives the envelope of a copy of plain, and that copy encrypted.
func sealed(s *Sealer, plain, additional []byte) (envelope, data []byte) {
	data = append(bytes.Clone(plain), "what follows the data"...)
	envelope = make([]byte, EnvelopeLen(len(plain)))
	var b Body
	s.Begin(&b)
	for n := range 7 { // as it comes, with other bodies between
		b.Seal(data[:len(plain)*n/7])
		var other Body
		s.Begin(&other)
	}
	b.Finish(envelope, data[:len(plain)], additional)
	return envelope, data
}

func TestABodyIsEncryptedAtItsPlaceAndComesBack(t *testing.T) {
	for name, c := range map[string]Cipher{"aes": AES, "chacha": ChaCha} {
		k := newRing(t, c)
		s, o := k.Sealer("journal"), k.Opener("journal")
		for _, n := range []int{0, 1, BodyPiece - 1, BodyPiece, BodyPiece + 1, 5*BodyPiece + 77} {
			plain := words(n)
			env, data := sealed(s, plain, []byte("directory"))
			if string(data[n:]) != "what follows the data" {
				t.Fatalf("%s, %d bytes: sealing wrote behind them", name, n)
			}
			if n > 20 && bytes.Contains(data, []byte("created")) {
				t.Fatalf("%s, %d bytes: the data shows", name, n)
			}
			got := make([]byte, n)
			bad, err := o.Body(got, env, data[:n], []byte("directory"))
			if err != nil || bad != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%s, %d bytes: bad %v, %v", name, n, bad, err)
			}
		}
	}
}

func TestDamageOfABodyCostsOnePiece(t *testing.T) {
	k := newRing(t, AES)
	o := k.Opener("journal")
	plain := words(3*BodyPiece + 100)
	env, data := sealed(k.Sealer("journal"), plain, nil)
	data = data[:len(plain)]
	for piece := range 4 {
		for _, at := range []int{piece * BodyPiece, piece*BodyPiece + 99} {
			b := bytes.Clone(data)
			b[at] ^= 4
			got := make([]byte, len(plain))
			bad, err := o.Body(got, env, b, nil)
			if err != nil || !slices.Equal(bad, []int{piece}) || PieceOf(at) != piece {
				t.Fatalf("byte %d: bad %v, %v", at, bad, err)
			}
			want := bytes.Clone(plain)
			clear(want[piece*BodyPiece : min(len(want), (piece+1)*BodyPiece)])
			if !bytes.Equal(got, want) {
				t.Fatalf("byte %d: other pieces differ", at)
			}
		}
	}
	if bad, err := o.Body(make([]byte, len(plain)), env, data, []byte("another directory")); !errors.Is(err, ErrDamaged) {
		t.Fatalf("with another directory: bad %v, %v", bad, err)
	}
}

func TestABodyWithoutItsKeySaysSo(t *testing.T) {
	env, data := sealed(newRing(t, AES).Sealer("journal"), words(10), nil)
	for _, k := range []*Keyring{nil, newRing(t, AES)} {
		if _, err := k.Opener("journal").Body(make([]byte, 10), env, data[:10], nil); !errors.Is(err, ErrNoKey) {
			t.Fatal(err)
		}
	}
}

func FuzzBody(f *testing.F) {
	k := newRing(f, ChaCha)
	env, data := sealed(k.Sealer("journal"), words(100), nil)
	f.Add(env, data[:100])
	f.Fuzz(func(t *testing.T, env, data []byte) {
		bad, err := k.Opener("journal").Body(make([]byte, len(data)), env, data, nil)
		if err == nil && len(bad) > pieces(len(data)) {
			t.Fatal("more bad pieces than there are")
		}
	})
}
