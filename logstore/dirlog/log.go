package dirlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"

	"github.com/weirmq/weir/logstore"
)

// Kind is the storage, to be registered under a name.
var Kind = logstore.Kind{Open: open, Durability: "files on one disk, synced at each checkpoint"}

// head is the name of the file that says what counts.
const head = "head.json"

// entry is a frame: in memory, or where it is in a file.
type entry struct {
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	LastTime int64  `json:"last_time"`
	File     string `json:"file,omitempty"` // empty: data has it
	Offset   int64  `json:"offset,omitempty"`
	Length   int    `json:"length"`
	Sum      uint32 `json:"sum"` // CRC-32 of the data

	data []byte
}

// kept is what head has.
type kept struct {
	Number  int     `json:"number"` // of the newest file
	First   uint64  `json:"first"`
	Last    uint64  `json:"last"`
	State   []byte  `json:"state"`
	Stated  bool    `json:"stated"` // there is a State, which may be empty
	Entries []entry `json:"entries"`
}

type log struct {
	dir string

	mu sync.Mutex
	// Guarded by mu. Entries ascend.
	kept
}

func open(dir string) (logstore.Log, error) {
	l := &log{dir: dir}
	b, err := os.ReadFile(filepath.Join(dir, head))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(b, &l.kept); err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, head), err)
		}
	}
	return l, l.sweep()
}

// sweep removes the files that nothing of what counts is in.
func (l *log) sweep() error {
	used := map[string]bool{head: true}
	l.mu.Lock()
	for i := range l.Entries {
		used[l.Entries[i].File] = true
	}
	l.mu.Unlock()
	names, err := os.ReadDir(l.dir)
	for _, n := range names {
		if !used[n.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(l.dir, n.Name())))
		}
	}
	return err
}

func (l *log) Append(f logstore.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Entries = append(l.Entries, entry{First: f.First, Last: f.Last, LastTime: f.LastTime, Length: len(f.Data), Sum: crc32.ChecksumIEEE(f.Data), data: f.Data})
	l.kept.Last = f.Last
	return nil
}

func (l *log) Find(seq uint64) (logstore.Frame, error) {
	return l.first(func(e *entry) bool { return e.Last >= seq })
}

func (l *log) FindTime(t int64) (logstore.Frame, error) {
	return l.first(func(e *entry) bool { return e.LastTime >= t })
}

// first reads the first frame for which reached is true, as it is for all behind it.
func (l *log) first(reached func(*entry) bool) (logstore.Frame, error) {
	for tried := ""; ; {
		l.mu.Lock()
		i := sort.Search(len(l.Entries), func(i int) bool { return l.Entries[i].Last >= l.kept.First && reached(&l.Entries[i]) })
		if i == len(l.Entries) {
			l.mu.Unlock()
			return logstore.Frame{}, logstore.ErrNone
		}
		e := l.Entries[i]
		l.mu.Unlock()
		f := logstore.Frame{First: e.First, Last: e.Last, LastTime: e.LastTime, Data: e.data}
		if e.File == "" {
			return f, nil
		}
		var err error
		f.Data, err = l.read(&e)
		if errors.Is(err, fs.ErrNotExist) && e.File != tried {
			tried = e.File // it was trimmed meanwhile: then another one is the first
			continue
		}
		return f, err
	}
}

func (l *log) read(e *entry) ([]byte, error) {
	f, err := os.Open(filepath.Join(l.dir, e.File))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is only read
	b := make([]byte, e.Length)
	if _, err := f.ReadAt(b, e.Offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if crc32.ChecksumIEEE(b) != e.Sum {
		return nil, fmt.Errorf("%s is damaged at %d", f.Name(), e.Offset)
	}
	return b, nil
}

func (l *log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.Last
}

func (l *log) Trim(first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept.First = max(l.kept.First, first)
}

func (l *log) State() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.Stated {
		return nil
	}
	return append([]byte{}, l.kept.State...)
}

// Checkpoint writes what waits into a new file, and then what counts.
func (l *log) Checkpoint(state []byte) error {
	l.mu.Lock()
	next := l.kept
	next.Number++
	next.State, next.Stated = slices.Clone(state), true
	next.Entries = slices.DeleteFunc(slices.Clone(l.Entries), func(e entry) bool { return e.Last < next.First })
	l.mu.Unlock()
	name := fmt.Sprintf("%08d.frames", next.Number)
	var b []byte
	for i := range next.Entries {
		if e := &next.Entries[i]; e.File == "" {
			e.File, e.Offset = name, int64(len(b))
			b = append(b, e.data...)
		}
	}
	if len(b) > 0 {
		if err := l.write(name, b); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(&next)
	if err == nil {
		err = l.write(head, doc)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	for i := range next.Entries {
		next.Entries[i].data = nil
	}
	late := l.Entries[sort.Search(len(l.Entries), func(i int) bool { return l.Entries[i].Last > next.Last }):]
	next.Entries = append(next.Entries, late...)
	next.First, next.Last = max(next.First, l.kept.First), l.kept.Last
	l.kept = next
	l.mu.Unlock()
	return l.sweep()
}

// write makes a file that has its name when it is whole and on the disk.
func (l *log) write(name string, b []byte) error {
	file := filepath.Join(l.dir, name)
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (l *log) Drop() error {
	names, err := os.ReadDir(l.dir)
	for _, n := range names {
		err = errors.Join(err, os.Remove(filepath.Join(l.dir, n.Name())))
	}
	return err
}

func (l *log) Close() error { return nil }
