package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"runtime"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// sample is a backup with two consumers and n records, with gaps.
func sample(t testing.TB, n int) []byte {
	t.Helper()
	var views []record.View
	h := &Head{Stream: []byte(`{"name":"S"}`), Created: 5, First: 3, Consumers: 2}
	for i := range n {
		v := record.View{Seq: uint64(3 + i*2), Time: int64(100 + i), Subject: fmt.Appendf(nil, "s.%d", i%3), Data: bytes.Repeat([]byte{byte(i)}, i%50)}
		if i%4 == 1 {
			v.Header, v.HasID, v.ID, v.TTL, v.Rollup = []byte("NATS/1.0\r\nA: b\r\n\r\n"), true, record.ID{9}, 77, record.RollupSubject
		}
		views = append(views, v)
		h.Bytes += v.Size()
		h.Last, h.LastTime = v.Seq, v.Time
	}
	h.Records, h.Last = uint64(n), max(h.Last, 2)+5
	var b bytes.Buffer
	w, err := NewWriter(&b, h)
	if err == nil {
		err = errors.Join(w.Consumer([]byte(`{"id":1}`), []byte{1, 2, 3}), w.Consumer([]byte(`{"id":2}`), nil))
	}
	for i := range views {
		err = errors.Join(err, w.Record(&views[i]))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads a whole backup and says what it has.
func read(b []byte) (consumers int, records []record.View, err error) {
	d, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	for {
		it, err := d.Next()
		switch {
		case errors.Is(err, io.EOF):
			return consumers, records, nil
		case err != nil:
			return consumers, records, err
		case it.Spec != nil:
			consumers++
		default:
			v := it.Record
			v.Subject, v.Data, v.Header = bytes.Clone(v.Subject), bytes.Clone(v.Data), bytes.Clone(v.Header)
			records = append(records, v)
		}
	}
}

func TestABackupComesBackAsItWas(t *testing.T) {
	b := sample(t, 100)
	consumers, records, err := read(b)
	if err != nil || consumers != 2 || len(records) != 100 {
		t.Fatalf("%d consumers, %d records, %v", consumers, len(records), err)
	}
	for i, v := range records {
		if v.Seq != uint64(3+i*2) || v.Time != int64(100+i) || string(v.Subject) != fmt.Sprintf("s.%d", i%3) || len(v.Data) != i%50 {
			t.Fatalf("record %d is %+v", i, v)
		}
		if special := i%4 == 1; special != v.HasID || special && (v.TTL != 77 || v.Rollup != record.RollupSubject || v.ID != record.ID{9} || len(v.Header) == 0) {
			t.Fatalf("record %d is %+v", i, v)
		}
	}
}

// golden is a backup that a first version wrote.
const golden = "testdata/golden-1.weir"

func TestABackupOfThisVersionIsReadForEver(t *testing.T) {
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	consumers, records, err := read(b)
	if err != nil || consumers != 2 || len(records) != 9 || records[8].Seq != 19 {
		t.Fatalf("%d consumers, %d records, %v", consumers, len(records), err)
	}
	if !bytes.Equal(b, sample(t, 9)) {
		t.Fatal("what is written now is not what was: the format changed without its version")
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	b := sample(t, 12)
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		_, records, err := read(b)
		if err == nil {
			t.Fatalf("bit %d of byte %d may be flipped", i%8, i/8)
		}
		var d *DamageError
		switch {
		case i/8 < len(Magic):
			if !errors.Is(err, ErrForeign) {
				t.Fatalf("byte %d: %v", i/8, err)
			}
		case !errors.As(err, &d):
			t.Fatalf("byte %d: %v", i/8, err)
		case d.Offset > int64(i/8):
			t.Fatalf("byte %d is said to be damaged at %d", i/8, d.Offset)
		case len(records) > 0 && d.After != records[len(records)-1].Seq:
			t.Fatalf("byte %d: damage after %d, read up to %d", i/8, d.After, records[len(records)-1].Seq)
		}
		b[i/8] ^= 1 << (i % 8)
	}
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	p := Packer(&out)
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAPackedBackupIsReadToo(t *testing.T) {
	b := sample(t, 100)
	p := packed(t, b)
	consumers, records, err := read(p)
	if err != nil || consumers != 2 || len(records) != 100 || len(p) >= len(b) {
		t.Fatalf("%d of %d bytes, %d consumers, %d records, %v", len(p), len(b), consumers, len(records), err)
	}
	if u, err := io.ReadAll(Unpacker(bytes.NewReader(p))); err != nil || !bytes.Equal(u, b) {
		t.Fatal("it unpacks to something else", err)
	}
}

func TestAFlippedBitInAPackedBackupNeverGivesAnotherRecord(t *testing.T) {
	b := sample(t, 12)
	p := packed(t, b)
	_, want, err := read(p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(p) * 8 {
		p[i/8] ^= 1 << (i % 8)
		_, got, err := read(p)
		if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("bit %d of byte %d changes a record", i%8, i/8)
		}
		if err != nil && !errors.Is(err, record.ErrDamaged) && !errors.Is(err, ErrForeign) {
			t.Fatalf("byte %d: %v", i/8, err)
		}
		p[i/8] ^= 1 << (i % 8)
	}
}

func TestEveryCutIsFound(t *testing.T) {
	b := sample(t, 12)
	for n := range b {
		if _, _, err := read(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes pass", n, len(b))
		}
	}
	if _, _, err := read(append(b[:len(b):len(b)], 0)); err == nil {
		t.Fatal("a byte may follow")
	}
}

func TestAnItemThatIsTakenOutIsFound(t *testing.T) {
	b := sample(t, 12)
	var at []int // where items begin
	d, err := NewReader(bytes.NewReader(b))
	for err == nil {
		at = append(at, int(d.Offset()))
		_, err = d.Next()
	}
	for i := 1; i < len(at); i++ {
		if _, _, err := read(append(bytes.Clone(b[:at[i-1]]), b[at[i]:]...)); err == nil {
			t.Fatalf("item %d may be missing", i)
		}
	}
}

func TestALengthThatIsNotThereTakesNoMemory(t *testing.T) {
	b := sample(t, 1)
	d, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	at := d.Offset()
	b[at+3] = 0x0f // a consumer of more than 200 MiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := read(b); err == nil {
		t.Fatal("it passes")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Fatalf("%d bytes were taken", took)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample(f, 0))
	f.Add(sample(f, 9))
	f.Add(packed(f, sample(f, 5)))
	b := sample(f, 3)
	for i := range 8 {
		c := bytes.Clone(b)
		c[rand.New(rand.NewSource(int64(i))).Intn(len(c))] ^= 1
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, d.Head())
		if err != nil {
			t.Fatal(err)
		}
		for {
			it, err := d.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			if it.Spec != nil {
				err = w.Consumer(it.Spec, it.State)
			} else {
				err = w.Record(&it.Record)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := read(out.Bytes()); err != nil {
			t.Fatalf("what was read and written again is refused: %v", err)
		}
	})
}
