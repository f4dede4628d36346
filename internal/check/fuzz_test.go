package check

import (
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/server"
)

func FuzzDecodeQuarantine(f *testing.F) {
	q := &quarantine{Version: quarantineVersion}
	f.Add(q.encode())
	q.add(locked{Damage: Damage{Kind: KindSegment, File: "streams/16-1/1.seg", Offset: 64, First: 1, Last: 2}})
	f.Add(q.encode())
	f.Add(server.Seal([]byte(`{"version":2}`)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, in := range [][]byte{b, server.Seal(b)} {
			q, err := decodeQuarantine(in)
			if err != nil {
				continue
			}
			again, err := decodeQuarantine(q.encode())
			if err != nil || len(again.Entries) != len(q.Entries) {
				t.Fatalf("%+v comes back as %+v, %v", q, again, err)
			}
		}
	})
}

func TestADamagedQuarantineIsDamage(t *testing.T) {
	b := (&quarantine{Version: quarantineVersion}).encode()
	for i := range b {
		b[i] ^= 2
		if _, err := decodeQuarantine(b); !errors.Is(err, record.ErrDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
		b[i] ^= 2
	}
}

func TestTheQuarantineHoldsWhatAllItsEntriesCover(t *testing.T) {
	q := &quarantine{}
	for _, d := range []Damage{
		{File: "a", ID: 16, Offset: 64, First: 5, Last: 7}, {File: "a", ID: 16, Offset: 99, First: 8, Last: 8}, {File: "a", ID: 16, Offset: 300},
	} {
		q.add(locked{Damage: d})
		q.add(locked{Damage: d})
	}
	q.add(locked{Damage: Damage{File: "a", ID: 16, First: 20, Last: 29}, Lost: true})
	if len(q.Entries) != 4 {
		t.Fatalf("%d entries", len(q.Entries))
	}
	for _, c := range []struct {
		d    Damage
		want bool
	}{
		{Damage{File: "a", ID: 16, Offset: 64, First: 5, Last: 7}, true},
		{Damage{File: "a", ID: 16, Offset: 70, First: 6, Last: 8}, true},
		{Damage{File: "a", ID: 16, Offset: 64, First: 4, Last: 7}, false},
		{Damage{File: "a", ID: 16, Offset: 64, First: 7, Last: 9}, false},
		{Damage{File: "b", ID: 16, Offset: 64, First: 5, Last: 7}, false},
		{Damage{File: "a", ID: 17, Offset: 64, First: 5, Last: 7}, false},
		{Damage{File: "a", ID: 16, Offset: 300}, true},
		{Damage{File: "a", ID: 16, Offset: 301}, false},
		{Damage{File: "a", ID: 16, First: 20, Last: 21}, false},
	} {
		if got := q.holds(&c.d); got != c.want {
			t.Errorf("%+v: %v", c.d, got)
		}
	}
}
