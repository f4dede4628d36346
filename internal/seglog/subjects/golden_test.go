package subjects

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is what the golden files hold.
func golden() (*model, []string) {
	m := model{
		"orders":           {Count: 1, First: 1, Last: 1},
		"orders.eu.new":    {Count: 3, First: 2, Last: 300, Seqs: []uint64{2, 40, 300}},
		"orders.eu.paid":   {Count: 1 << 40, First: 5, Last: 0},
		"orders.us.new":    {},
		"sensors.\xc3\xa9": {Count: 2, First: 1 << 50, Last: 1<<50 + 7},
	}
	return &m, []string{"1.run", "list"}
}

func TestGoldenFilesOfVersion1(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	m, names := golden()
	must(t, s.WriteRun(m.sorted()))
	run := make([]byte, s.Stats().Bytes)
	h, err := fs.OpenRead("log/1.run")
	must(t, err)
	_, err = h.ReadAt(run, 0)
	must(t, err)
	must(t, h.Close())
	for i, b := range [][]byte{run, s.List()} {
		name := filepath.Join("testdata", "golden", names[i])
		if *update {
			must(t, os.MkdirAll(filepath.Dir(name), 0o755))
			must(t, os.WriteFile(name, b, 0o644))
		}
		want, err := os.ReadFile(name)
		must(t, err)
		if !bytes.Equal(b, want) {
			t.Errorf("%s is written otherwise than in version 1", names[i])
		}
	}
	readGolden(t, *m)
}

// readGolden reads the files themselves, on another disk.
func readGolden(t *testing.T, m model) {
	run, err := os.ReadFile(filepath.Join("testdata", "golden", "1.run"))
	must(t, err)
	list, err := os.ReadFile(filepath.Join("testdata", "golden", "list"))
	must(t, err)
	fs := newDisk(t)
	h, err := fs.Create("log/1.run")
	must(t, err)
	_, err = h.WriteAt(run, 0)
	must(t, err)
	must(t, h.Close())
	want := model{}
	want.put(m)
	check(t, open(t, fs, list), want)
}
