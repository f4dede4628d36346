package record

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzDecode(f *testing.F) {
	var a Area
	a.Append(&Parts{Subject: []byte("a.b"), Data: []byte("x")})
	a.Append(&Parts{
		Subject: []byte("s"), Header: []byte("NATS/1.0\r\nA: b\r\n\r\n"), Data: []byte("y"), Reply: []byte("r"), Key: []byte("k"),
		Attrs: []byte{1}, ID: ID{2}, HasID: true, Rollup: RollupAll, TTL: Forever,
	})
	for _, s := range a.Slots {
		f.Add(a.Buf[s.Off:][:s.Len])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v is no damage", err)
			}
			return
		}
		var again Area
		parts := v.Parts()
		again.Append(&parts)
		w, err := Decode(again.Buf)
		if err != nil || !bytes.Equal(w.Data, v.Data) || !bytes.Equal(w.Subject, v.Subject) || w.TTL != v.TTL || w.ID != v.ID || w.Rollup != v.Rollup {
			t.Fatalf("%+v came back as %+v, %v", v, w, err)
		}
	})
}

func TestAFrameOfAGapEndsBeforeItsBase(t *testing.T) {
	g := SealGap(Header{Partition: Identity{ID: 7}, Base: 12, Time: 5})
	f, n, err := Parse(g.Head)
	if err != nil || n != HeaderLen || f.Last() != 11 || f.Count != 0 || f.Time != 5 {
		t.Fatalf("%+v, %d, %v", f, n, err)
	}
}

func TestASubjectIsThatOfItsRecord(t *testing.T) {
	var a Area
	all := []Parts{
		{Subject: []byte("plain"), Data: []byte("data")}, {Subject: []byte("s"), Header: []byte("h"), Reply: []byte("reply"), Key: []byte("key"), TTL: 7},
		{}, {Subject: []byte("all"), HasID: true, Attrs: []byte("attrs"), Rollup: RollupAll},
	}
	for i := range all {
		a.Append(&all[i])
	}
	f := Seal(Header{Base: 3}, a.Buf, a.Slots)
	for i := range all {
		if got, err := f.Subject(i); err != nil || string(got) != string(all[i].Subject) {
			t.Errorf("record %d: %q, %v", i, got, err)
		}
	}
	f.Area[0]++ // another version
	if _, err := f.Subject(0); !errors.Is(err, ErrDamaged) {
		t.Errorf("subject of something else: %v", err)
	}
	f.Area = f.Area[:20]
	if _, err := f.Subject(3); !errors.Is(err, ErrDamaged) {
		t.Errorf("subject of a record that is cut off: %v", err)
	}
}
