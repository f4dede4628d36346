package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Bounds of a part: what an interruption may cost.
const (
	partBytes   = 16 << 20
	partRecords = 100_000
	partTime    = 2 * time.Second
)

// spool is the directory that one stream's messages are gathered in: files that are
// backups of a run of messages each, so that every byte is under a checksum. A file
// has its name when it is whole and on the disk.
type spool struct {
	dir   string
	lock  io.Closer
	parts []part
	// The part that is being gathered.
	batch []record.View
	size  int
	since time.Time
}

// part is one file of a spool.
type part struct {
	file                 string
	first, last, records uint64
	size                 int64
}

// spooled says of which stream a spool is, in a file of its own.
type spooled struct {
	From    string    `json:"from"`
	Stream  string    `json:"stream"`
	Created time.Time `json:"created"` // another one is another stream of the same name
}

const (
	spoolFile  = "stream.json"
	lockFile   = "lock"
	partSuffix = ".part"
	newSuffix  = ".new"
)

// openSpool opens the spool of a stream, or makes it. One process at a time has it,
// until close or remove.
func openSpool(dir string, of spooled) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the working directory: %w", err)
	}
	lock, err := vfs.OS{}.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("another import is at work in %s", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the working directory: %w", err)
	}
	s := &spool{dir: dir, lock: lock, since: time.Now()}
	if err = s.begin(&of); err == nil {
		err = s.look()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close lets others have the spool.
func (s *spool) close() error {
	if s.lock == nil {
		return nil
	}
	l := s.lock
	s.lock = nil
	if err := l.Close(); err != nil {
		return fmt.Errorf("unlock the working directory: %w", err)
	}
	return nil
}

// begin notes of which stream the spool is, or makes sure that it is of this one.
func (s *spool) begin(of *spooled) error {
	file := filepath.Join(s.dir, spoolFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		if b, err = json.Marshal(of); err == nil {
			err = s.write(spoolFile, func(w io.Writer) error { _, err := w.Write(b); return err })
		}
		return err
	}
	var was spooled
	if err == nil {
		err = json.Unmarshal(b, &was)
	}
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", file, err)
	case was.Stream != of.Stream || !was.Created.Equal(of.Created):
		return fmt.Errorf("what was gathered in %s is of another stream %s (of %s, made %s): remove it, or give another --work", s.dir, was.Stream, was.From, when(was.Created))
	}
	return nil
}

// look reads which parts there are.
func (s *spool) look() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read the working directory: %w", err)
	}
	for _, e := range entries {
		file := filepath.Join(s.dir, e.Name())
		if strings.HasSuffix(e.Name(), newSuffix) {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("remove what is not whole: %w", err)
			}
		}
		if !strings.HasSuffix(e.Name(), partSuffix) {
			continue
		}
		p, err := lookPart(file)
		if err != nil {
			return err
		}
		if p.first <= s.last() {
			return fmt.Errorf("%s begins at %d, which others have: remove %s to begin anew", file, p.first, s.dir)
		}
		s.parts = append(s.parts, p)
	}
	return nil
}

func lookPart(file string) (part, error) {
	f, err := os.Open(file)
	if err != nil {
		return part{}, fmt.Errorf("read what was gathered: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return part{}, fmt.Errorf("read what was gathered: %w", err)
	}
	in, err := backup.NewReader(bufio.NewReader(f))
	if err != nil {
		return part{}, fmt.Errorf("%s: %w", file, err)
	}
	h := in.Head()
	return part{file, h.First, h.Last, h.Records, info.Size()}, nil
}

// last is the last sequence that is in a part; 0: none.
func (s *spool) last() uint64 {
	if len(s.parts) == 0 {
		return 0
	}
	return s.parts[len(s.parts)-1].last
}

// records is how many messages the parts have.
func (s *spool) records() (n uint64) {
	for _, p := range s.parts {
		n += p.records
	}
	return n
}

// add takes a message over.
func (s *spool) add(v *record.View) error {
	s.batch = append(s.batch, *v)
	s.size += int(v.Size())
	if s.size < partBytes && len(s.batch) < partRecords && (len(s.batch)%256 != 0 || time.Since(s.since) < partTime) {
		return nil
	}
	return s.flush()
}

// flush makes a part of what was added since the last.
func (s *spool) flush() error {
	s.since = time.Now()
	if len(s.batch) == 0 {
		return nil
	}
	last := &s.batch[len(s.batch)-1]
	h := &backup.Head{
		Made: s.since.UnixNano(), Stream: json.RawMessage(`{}`), First: s.batch[0].Seq, Last: last.Seq, LastTime: last.Time, Records: uint64(len(s.batch)),
	}
	for i := range s.batch {
		h.Bytes += s.batch[i].Size()
	}
	name := fmt.Sprintf("%020d%s", h.First, partSuffix)
	err := s.write(name, func(w io.Writer) error {
		out, err := backup.NewWriter(w, h)
		for i := range s.batch {
			if err == nil {
				err = out.Record(&s.batch[i])
			}
		}
		if err == nil {
			err = out.Close()
		}
		return err
	})
	if err != nil {
		return err
	}
	p, err := lookPart(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	s.parts = append(s.parts, p)
	clear(s.batch)
	s.batch, s.size = s.batch[:0], 0
	return nil
}

// write makes a file that has its name when it is whole and on the disk.
func (s *spool) write(name string, fill func(io.Writer) error) error {
	file := filepath.Join(s.dir, name)
	f, err := os.OpenFile(file+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("gather messages: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = fill(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(file+newSuffix, file)
	}
	if err == nil {
		err = syncDir(s.dir)
	}
	if err != nil {
		return fmt.Errorf("gather messages: %w", err)
	}
	return nil
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// each gives all messages of the parts in order, and verifies them on the way. Views
// are valid during the call only.
func (s *spool) each(do func(*record.View) error) error {
	for _, p := range s.parts {
		if err := eachOf(p.file, do); err != nil {
			return err
		}
	}
	return nil
}

func eachOf(file string, do func(*record.View) error) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read what was gathered: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	in, err := backup.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for {
		item, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w: remove it and what begins behind it to have that copied again", file, err)
		}
		if err := do(&item.Record); err != nil {
			return err
		}
	}
}

// remove takes the spool away, and the directory around it where nothing else is in it.
func (s *spool) remove() error {
	if err := s.close(); err != nil {
		return err
	}
	names := []string{lockFile, spoolFile}
	for _, p := range s.parts {
		names = append(names, filepath.Base(p.file))
	}
	for _, name := range slices.Backward(names) {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			return fmt.Errorf("remove what was gathered: %w", err)
		}
	}
	if err := os.Remove(s.dir); err != nil {
		return fmt.Errorf("remove what was gathered: %w", err)
	}
	_ = os.Remove(filepath.Dir(s.dir)) // it is in use where that fails
	return nil
}
