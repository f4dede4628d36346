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
