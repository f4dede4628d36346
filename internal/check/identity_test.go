package check

import (
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// TestAnIdentityThatTheJournalTellsCostsNothing: the next start takes it from there. One that
// is another directory's costs the server, which does not know which of the two is right.
func TestAnIdentityThatTheJournalTellsCostsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		is   []byte
		cost string
	}{
		"missing": {nil, CostNothing},
		"empty":   {[]byte{}, CostNothing},
		"another": {[]byte("12345678"), CostServer},
	} {
		disk := stopped(t)
		must(t, disk.Remove(dir+"/identity"))
		if c.is != nil {
			f, err := disk.Create(dir + "/identity")
			must(t, err)
			if len(c.is) > 0 {
				_, err = f.WriteAt(c.is, 0)
				must(t, err)
			}
			must(t, f.Close())
		}
		base := disk.CrashClone(faultfs.KeepAll, 0)
		r := look1(t, base)
		found := false
		for _, d := range r.Damage {
			if d.Kind != KindIdentity {
				continue
			}
			if found = true; d.Cost != c.cost {
				t.Errorf("%s: %+v", name, d)
			}
		}
		if !found {
			t.Errorf("%s: %+v", name, r.Damage)
		}
	}
}
