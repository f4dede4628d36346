package atrest

import (
	"bytes"
	"errors"
	"testing"
)

func TestAPageBelongsToItsPlace(t *testing.T) {
	k := newRing(t, AES)
	s := k.PageSealer()
	o, err := k.PageOpener(s.Head())
	must(t, err)
	for _, n := range []int{0, 1, PageSize} {
		b := s.AppendPage(nil, words(n), 7)
		if PlainSize(PageAt(7)+int64(len(b))) != 7*PageSize+int64(n) {
			t.Fatalf("size of %d bytes", n)
		}
		if got, err := o.Page(nil, bytes.Clone(b), 7); err != nil || !bytes.Equal(got, words(n)) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if _, err := o.Page(nil, bytes.Clone(b), 8); !errors.Is(err, ErrDamaged) {
			t.Fatalf("at another place: %v", err)
		}
	}
	if bytes.Equal(s.AppendPage(nil, words(9), 1), s.AppendPage(nil, words(9), 1)) {
		t.Fatal("a page that was written twice has one nonce")
	}
}

func FuzzPage(f *testing.F) {
	k := newRing(f, AES)
	s := k.PageSealer()
	f.Add(s.Head(), s.AppendPage(nil, words(50), 0))
	f.Fuzz(func(t *testing.T, head, page []byte) {
		o, err := k.PageOpener(head)
		if err != nil {
			return
		}
		if got, err := o.Page(nil, bytes.Clone(page), 0); err == nil && len(got) > PageSize {
			t.Fatalf("a page of %d bytes", len(got))
		}
	})
}
