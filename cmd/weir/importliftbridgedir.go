package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"github.com/weirmq/weir/internal/wire/liftbridge/store"
	"google.golang.org/protobuf/proto"
)

// liftDir is the data directory of a Liftbridge server.
type liftDir struct {
	dir    string
	opener *store.Opener // nil: no key was given
}

// importLiftDir copies streams from a directory.
func (a *app) importLiftDir(ctx context.Context, f *importLiftFlags) error {
	d := &liftDir{dir: f.dir}
	if key := orEnv(f.encryption, a.getenv, "LIFTBRIDGE_ENCRYPTION_KEY"); key != "" {
		var err error
		if d.opener, err = store.NewOpener([]byte(key)); err != nil {
			return err
		}
	}
	streams, err := d.streams(a, f)
	if err != nil {
		return err
	}
	err = d.addCursors(streams, func(at damage) error {
		if !f.skipDamaged {
			return fmt.Errorf("%s: --skip-damaged leaves it out", at)
		}
		a.warn("left out, a damaged cursor: %s", at)
		return nil
	})
	if err != nil {
		return err
	}
	return a.importLift(ctx, f, streams)
}

// streams finds those to copy.
func (d *liftDir) streams(a *app, f *importLiftFlags) ([]*liftStream, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, "streams"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not the data directory of a Liftbridge server: it has no directory streams", d.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	known, err := d.catalog()
	if err != nil {
		a.warn("the Raft log cannot be read (%s): streams are taken for what their directories and options say", plainText(err))
		known = nil
	}
	var names []string
	for _, e := range entries {
		switch name := e.Name(); {
		case !e.IsDir() || strings.HasPrefix(name, "__"):
		case known == nil || known[name] != nil:
			names = append(names, name)
		case len(f.streams) == 0 || slices.Contains(f.streams, name):
			a.warn("stream %s is left out: the old server has deleted it, or never knew it", name)
		}
	}
	if names, err = chosenStreams(d.dir, names, f.streams); err != nil {
		return nil, err
	}
	var all []*liftStream
	for _, name := range names {
		s := &liftStream{Stream: known[name]}
		if s.Stream == nil {
			if s.Stream, err = d.guess(name, f.subjects); err != nil {
				return nil, err
			}
		}
		s.source = func(k int32) partitionSource { return &liftFiles{liftDir: d, of: s.Stream, number: k} }
		all = append(all, s)
	}
	return all, nil
}

// chosenStreams are those of a server that have these names, all where there are none.
func chosenStreams(from string, all, names []string) ([]string, error) {
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%s has no stream %s", from, name)
		}
	}
	if len(names) > 0 {
		all = names
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no streams", from)
	}
	return all, nil
}

// largestRaftLog bounds what is read of Raft's log, bytes: it is cut by snapshots.
const largestRaftLog = 2 << 30

// catalog reads what the server knew of its streams.
func (d *liftDir) catalog() (store.Catalog, error) {
	file := filepath.Join(d.dir, "raft", "raft.db")
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > largestRaftLog {
		return nil, fmt.Errorf("it has %s", humanBytes(uint64(info.Size())))
	}
	db, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	snapshot, index, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	return store.DecodeCatalog(snapshot, index, db)
}

// snapshot reads the newest one that is whole; nil where there is none.
func (d *liftDir) snapshot() (state []byte, index uint64, err error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(d.dir), "raft", "snapshots", "*", "meta.json"))
	if err != nil {
		return nil, 0, fmt.Errorf("list snapshots: %w", err)
	}
	var failed error
	for _, file := range files {
		if strings.HasSuffix(filepath.Dir(file), ".tmp") {
			continue // it was never finished
		}
		var meta struct {
			Index uint64
			CRC   []byte
		}
		b, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(b, &meta)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", file, err))
			continue
		}
		if b, err = os.ReadFile(filepath.Join(filepath.Dir(file), "state.bin")); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		sum := crc64.New(crc64.MakeTable(crc64.ECMA))
		sum.Write(b)
		if !slices.Equal(sum.Sum(nil), meta.CRC) {
			failed = errors.Join(failed, fmt.Errorf("%s: %w: the checksum of state.bin is wrong", file, store.ErrDamaged))
			continue
		}
		if state == nil || meta.Index > index {
			state, index = b, meta.Index
		}
	}
	if state != nil {
		failed = nil
	}
	return state, index, failed
}

// guess makes a stream of what its directory says, and --subject.
func (d *liftDir) guess(name string, subjects []string) (*store.Stream, error) {
	s := &store.Stream{Settings: wire.Settings{Name: name, Subject: name}}
	for _, p := range subjects {
		if stream, of, _ := strings.Cut(p, "="); stream == name {
			s.Subject = of
		}
	}
	entries, err := os.ReadDir(filepath.Join(d.dir, "streams", name))
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	for _, e := range entries {
		if k, err := strconv.ParseInt(e.Name(), 10, 32); err == nil && k >= 0 && e.IsDir() {
			s.Partitions = max(s.Partitions, int32(k)+1)
		}
	}
	if s.Partitions == 0 {
		return nil, fmt.Errorf("%s has no partitions", filepath.Join(d.dir, "streams", name))
	}
	return s, nil
}

// cursorsStream is where Liftbridge keeps cursors.
const cursorsStream = "__cursors"

// addCursors reads the cursors of streams: of each the newest message counts.
func (d *liftDir) addCursors(streams []*liftStream, skip func(damage) error) error {
	dirs, err := filepath.Glob(filepath.Join(escapeGlob(d.dir), "streams", cursorsStream, "*"))
	if err != nil {
		return fmt.Errorf("list cursors: %w", err)
	}
	for _, dir := range dirs {
		l := liftLog{dir: dir}
		err := l.read(skip, func(_ *store.Head, r *store.Record, _ damage) error {
			value, err := d.open(r.Value, false)
			if err == nil {
				setCursorOf(streams, value)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read the cursors: %w", err)
		}
	}
	return nil
}

// setCursorOf takes the value of a message of cursorsStream over. What is none, or of no
// stream that is copied, is passed over.
func setCursorOf(streams []*liftStream, value []byte) {
	var c pb.SetCursorRequest
	if proto.Unmarshal(value, &c) != nil {
		return
	}
	for _, s := range streams {
		if s.Name == c.Stream {
			s.setCursor(c.Partition, c.CursorId, c.Offset)
		}
	}
}

func (s *liftStream) setCursor(partition int32, id string, offset int64) {
	if id == "" || partition < 0 || partition >= s.Partitions {
		return
	}
	if s.cursors == nil {
		s.cursors = map[int32]map[string]int64{}
	}
	if s.cursors[partition] == nil {
		s.cursors[partition] = map[string]int64{}
	}
	s.cursors[partition][id] = offset
}

// open decrypts a value where there is a key. One that is not known to be encrypted, and
// cannot be decrypted, is none.
func (d *liftDir) open(value []byte, encrypted bool) ([]byte, error) {
	if d.opener == nil {
		if encrypted {
			return nil, errors.New("values are encrypted: --encryption-key, or LIFTBRIDGE_ENCRYPTION_KEY, has the key")
		}
		return value, nil
	}
	out, err := d.opener.Open(value)
	if err != nil && !encrypted {
		return value, nil
	}
	return out, err
}

// liftFiles is a partition in a liftDir.
type liftFiles struct {
	*liftDir
	of     *store.Stream
	number int32
	log    liftLog
}

// path is the partition's directory.
func (p *liftFiles) path() string {
	return filepath.Join(p.dir, "streams", p.of.Name, strconv.Itoa(int(p.number)))
}

func (p *liftFiles) plan(_ context.Context, m *importingPartition) error { return m.survey() }

func (p *liftFiles) gather(_ context.Context, m *importingPartition) error {
	if _, err := os.Stat(p.path()); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not there: another server of the cluster has this partition", p.path())
	}
	return nil
}

// messages implements logSource.
func (p *liftFiles) messages(skip func(damage) error, each func(*record.View) error) error {
	p.log = liftLog{dir: p.path()}
	v := viewer{subject: wire.PartitionSubject(p.of.Subject, p.number)}
	return p.log.read(skip, func(h *store.Head, r *store.Record, at damage) error {
		value, err := p.open(r.Value, p.of.Encryption)
		if err != nil && errors.Is(err, store.ErrDamaged) {
			at.err = err
			return skip(at)
		}
		if err != nil {
			return err
		}
		return each(v.view(h.Offset, h.Time, r.Key, value, r.Headers))
	})
}

// last implements logSource: the name of the newest file tells, too.
func (p *liftFiles) last() uint64 { return uint64(p.log.next) }

// remarks implements partitionSource.
func (p *liftFiles) remarks() []string {
	if t := p.log.torn; t != nil {
		return []string{fmt.Sprintf("left out, it was just being written when the old server ended: %s at %d", t.file, t.at)}
	}
	return nil
}

func (p *liftFiles) done() error  { return nil }
func (p *liftFiles) close() error { return nil }
func (p *liftFiles) text() string { return "Liftbridge, " + p.dir }

// viewer makes records of messages.
type viewer struct {
	subject string // where a message does not say one that can be
	at      int64  // time of the last one
	v       record.View
	header  []byte
}

// view makes a record of a message. It is valid until the next.
func (w *viewer) view(offset, at int64, key, value []byte, headers []wire.Header) *record.View {
	// Times may go back where the old server's clock did; a log's do not.
	w.at = max(w.at, at)
	w.v = record.View{Seq: uint64(offset) + 1, Time: w.at, Subject: []byte(w.subject), Key: key, Data: value}
	for _, h := range headers {
		switch string(h.Name) {
		case wire.SubjectHeader:
			if len(h.Value) <= record.MaxSubject && subject.ValidLiteral(string(h.Value)) {
				w.v.Subject = h.Value
			}
		case wire.ReplyHeader:
			if len(h.Value) <= record.MaxReply {
				w.v.Reply = h.Value
			}
		}
	}
	w.header = wire.AppendHeaderBlock(w.header[:0], key, headers)
	w.v.Header = w.header
	return &w.v
}
