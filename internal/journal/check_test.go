package journal

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// checked reads a journal without changing it.
func checked(t *testing.T, fs *faultfs.FS) (*Recovery, []uint64, error) {
	t.Helper()
	var got []uint64
	rec, err := Check(Options{FS: fs, Dir: "j", Identity: 1}, func(e Entry) error {
		got = append(got, e.Index)
		return nil
	})
	return rec, got, err
}

// Whatever byte of a batch is changed, a check says of it what a start would, and
// leaves every byte as it is.
func TestCheckSaysWhatAStartWouldAndChangesNothing(t *testing.T) {
	base := damagedBase(t)
	rec, got, err := checked(t, base)
	must(t, err)
	if len(rec.Damage) != 0 || !rec.Clean || rec.Torn || len(got) != 7 || rec.End.Batch != 9 {
		t.Fatalf("of a good journal: %+v, entries %v", rec, got)
	}
	r := rand.New(rand.NewPCG(3, 1))
	damaged := 0
	for range 60 {
		fs := base.CrashClone(faultfs.KeepAll, 0)
		name := fileName(uint64(r.IntN(2)))
		off := int64(r.IntN(4))*blockSize + int64(r.IntN(120))
		must(t, fs.Corrupt("j/"+name, off, 1<<r.IntN(8)))
		rec, got, err := checked(t, fs)
		_, same, err2 := checked(t, fs)
		if (err == nil) != (err2 == nil) || !slices.Equal(got, same) {
			t.Fatalf("%s at %d: a second check says something else: %v, %v", name, off, err, err2)
		}
		j, all, openErr := tryOpen(fs, damagedOptions)
		var d *DamageError
		switch {
		case errors.As(openErr, &d):
			damaged++
			if err != nil || len(rec.Damage) != 1 || rec.Damage[0].Offset != d.Offset || rec.Damage[0].File != d.File || d.Length <= 0 || d.Length%blockSize != 0 {
				t.Fatalf("%s at %d: check %+v, %v; start %+v", name, off, rec, err, d)
			}
		case openErr != nil:
			if err == nil {
				t.Fatalf("%s at %d: a start fails with %v, a check does not", name, off, openErr)
			}
		default:
			if err != nil || len(rec.Damage) != 0 || rec.Torn != j.Recovered().Torn || !slices.Equal(got, indices(all)) {
				t.Fatalf("%s at %d: check %+v, %v; start %+v", name, off, rec, err, j.Recovered())
			}
			must(t, j.Close())
		}
	}
	if damaged < 20 {
		t.Fatalf("only %d changes were damage", damaged)
	}
}

func TestAgreedIdentityIsThatOfTheBatches(t *testing.T) {
	fs := damagedBase(t)
	if id, any, err := AgreedIdentity(fs, "j"); id != 1 || !any || err != nil {
		t.Fatal(id, any, err)
	}
}
