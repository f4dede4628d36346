package simtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// store keeps a partition's frames in memory, and all of it in one file at a
// checkpoint.
type store struct {
	fs     *faultfs.FS
	dir    string
	weak   weakness
	frames []*record.Frame
	first  uint64
	state  []byte
	// capture takes a checkpoint's state instead of the file.
	capture bool
}

const checkpointName = "/checkpoint"

// openStore reads what is on the disk.
func openStore(fs *faultfs.FS, dir string, weak weakness) (*store, error) {
	st := &store{fs: fs, dir: dir, weak: weak}
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := fs.SyncDir("."); err != nil {
		return nil, err
	}
	if err := fs.SyncDir("store"); err != nil {
		return nil, err
	}
	b, err := readFile(fs, dir+checkpointName)
	if err != nil || b == nil {
		return st, err
	}
	return st, st.decode(b)
}

// readFile gives nil if there is no such file.
func readFile(fs *faultfs.FS, name string) (b []byte, err error) {
	if info, err := fs.Stat(name); err != nil || info.Dir {
		return nil, nil
	}
	return vfs.ReadFile(fs, name)
}

// encode gives a checksum, the state and frames.
func encode(state []byte, frames []*record.Frame) []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 4), uint32(len(state)))
	b = append(b, state...)
	for _, f := range frames {
		b = append(append(b, f.Head...), f.Area...)
	}
	binary.LittleEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

var errTorn = errors.New("checksum differs")

// decode takes over what encode gave. Without a check of the whole it takes the
// frames that it finds.
func decode(b []byte, check bool) (state []byte, frames []*record.Frame, err error) {
	if len(b) < 8 {
		return nil, nil, errTorn
	}
	if check && crc32.ChecksumIEEE(b[4:]) != binary.LittleEndian.Uint32(b) {
		return nil, nil, errTorn
	}
	n, rest := binary.LittleEndian.Uint32(b[4:]), b[8:]
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, errTorn
	}
	state, rest = rest[:n:n], rest[n:]
	for len(rest) > 0 {
		f, size, err := record.Parse(rest)
		if err != nil {
			if check {
				return nil, nil, err
			}
			break
		}
		frames, rest = append(frames, f), rest[size:]
	}
	return state, frames, nil
}

func (st *store) decode(b []byte) (err error) {
	if st.state, st.frames, err = decode(b, true); err != nil {
		return fmt.Errorf("read %s: %w", st.dir, err)
	}
	return nil
}

// replace writes a file whole, or leaves the old one.
func (st *store) replace(name string, b []byte) error {
	full, next := st.dir+name, st.dir+name+".new"
	if st.weak.storeInPlace {
		next = full
	}
	if err := st.fs.RemoveAll(next); err != nil {
		return err
	}
	f, err := st.fs.Create(next)
	if err != nil {
		return err
	}
	if err := st.write(f, b); err != nil {
		return err
	}
	if next != full {
		if err := st.fs.Rename(next, full); err != nil || st.weak.lazyStore {
			return err
		}
	}
	return st.fs.SyncDir(st.dir)
}

func (st *store) write(f vfs.File, b []byte) (err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(b, 0); err != nil || st.weak.lazyStore {
		return err
	}
	return f.Sync()
}

// Append is part of partition.Store, as all that follows.
func (st *store) Append(f *record.Frame) {
	if f.Last() > st.Last() {
		st.frames = append(st.frames, f)
	}
}

func (st *store) Last() uint64 {
	if len(st.frames) == 0 {
		return 0
	}
	return st.frames[len(st.frames)-1].Last()
}

func (st *store) Get(seq uint64) (record.View, error) {
	v, err := (&cursor{st, seq}).Next()
	if err != nil || v.Seq != seq {
		return record.View{}, partition.ErrNotFound
	}
	return v, nil
}

func (st *store) Cursor(from uint64) partition.Cursor { return &cursor{st, from} }

func (st *store) SeekTime(t int64) (uint64, error) {
	return 0, fmt.Errorf("seek to time %d: nobody needs it here", t)
}

func (st *store) Trim(first uint64) {
	st.first = max(st.first, first)
	for len(st.frames) > 1 && st.frames[0].Last() < st.first {
		st.frames = st.frames[1:]
	}
}

func (st *store) Checkpoint(state []byte) error {
	if st.capture {
		st.state = state
		return nil
	}
	return st.replace(checkpointName, encode(state, st.frames))
}

func (st *store) State() []byte { return st.state }
func (st *store) Drop() error   { return nil }
func (st *store) Close() error  { return nil }

type cursor struct {
	st   *store
	next uint64
}

func (c *cursor) Next() (record.View, error) {
	c.next = max(c.next, c.st.first)
	frames := c.st.frames
	i := sort.Search(len(frames), func(i int) bool { return frames[i].Last() >= c.next })
	if i == len(frames) {
		return record.View{}, io.EOF
	}
	f := frames[i]
	c.next = max(c.next, f.Base)
	v, err := f.Record(f.Find(c.next))
	c.next = v.Seq + 1
	return v, err
}

func (c *cursor) Seek(seq uint64) { c.next = seq }
func (c *cursor) Close()          {}
