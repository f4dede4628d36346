package check

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/seglog/sealed"
	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs"
)

// Repaired is what a repair did.
type Repaired struct {
	Before    *Report  `json:"before"`
	After     *Report  `json:"after"`
	Originals string   `json:"originals,omitempty"` // where what was changed is kept
	Rebuilt   []string `json:"rebuilt,omitempty"`
	// Quarantined cannot be read and stays where it is; Lost is in no file any more.
	Quarantined []Damage `json:"quarantined,omitempty"`
	Lost        []Damage `json:"lost,omitempty"`
	// Warnings say what else may not be as it was.
	Warnings []string `json:"warnings,omitempty"`
}

// Repair makes a damaged directory one that a server opens. confirm sees what is
// damaged before anything is changed; its error ends the repair. A directory
// without new damage is left alone. After an error what was changed before it is
// kept, in Originals, and the repair may be begun again.
func Repair(ctx context.Context, o Options, confirm func(*Report) error) (*Repaired, error) {
	if err := recognise(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("repair %s: %w", o.Dir, err)
	}
	held, err := claim(o.FS, o.Dir)
	if err != nil {
		return nil, fmt.Errorf("repair %s: %w", o.Dir, err)
	}
	out, err := repair(ctx, o, confirm)
	if err = errors.Join(err, held.Close()); err != nil {
		return out, fmt.Errorf("repair %s: %w", o.Dir, err)
	}
	return out, nil
}

func repair(ctx context.Context, o Options, confirm func(*Report) error) (*Repaired, error) {
	l, err := look(ctx, o)
	if err != nil {
		return nil, err
	}
	out := &Repaired{Before: l.report, After: l.report}
	if l.report.Open() == 0 {
		return out, nil
	}
	if err := confirm(l.report); err != nil {
		return nil, err
	}
	r := &repairer{
		looker: l, out: out, now: time.Now().UTC(), fs: o.FS, clear: sealed.New(o.FS, l.keys),
		kept: map[string]bool{}, log: slog.New(slog.DiscardHandler),
	}
	out.Originals = originals + r.now.Format("20060102T150405.000Z")
	for _, step := range []func() error{r.keyFiles, r.identityFile, r.catalogFiles, r.manifests, r.logsAgain, r.runs, r.salvage, r.lock} {
		if err := step(); err != nil {
			return out, err
		}
	}
	l, err = look(ctx, o)
	if err != nil {
		return out, err
	}
	out.After = l.report
	return out, nil
}

// repairer repairs one directory, once.
type repairer struct {
	*looker
	out   *Repaired
	now   time.Time
	fs    vfs.FS
	clear vfs.FS // encrypts what it creates, where the directory is encrypted
	kept  map[string]bool
	log   *slog.Logger
	// replay says that the journal is to be replayed, damaged or not.
	replay bool
}

// damaged is the damage of some kinds that is not quarantined.
func (r *repairer) damaged(kinds ...string) (out []Damage) {
	for _, d := range r.report.Damage {
		if slices.Contains(kinds, d.Kind) && !d.Quarantined {
			out = append(out, d)
		}
	}
	return out
}

func (r *repairer) warn(format string, a ...any) {
	r.out.Warnings = append(r.out.Warnings, fmt.Sprintf(format, a...))
}

func (r *repairer) rebuilt(what string) { r.out.Rebuilt = append(r.out.Rebuilt, what) }

// keep copies a file to where the originals are, once. One that is missing needs
// no copy.
func (r *repairer) keep(name string) error {
	rel := r.rel(name)
	if r.kept[rel] {
		return nil
	}
	r.kept[rel] = true
	from, err := r.fs.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", rel, err)
	}
	defer from.Close()
	to, err := r.original(rel)
	if err != nil {
		return fmt.Errorf("keep %s: %w", rel, err)
	}
	f, err := r.fs.Create(to)
	if err != nil {
		return fmt.Errorf("keep %s: %w", rel, err)
	}
	err = copyTo(f, from)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = r.fs.SyncDir(path.Dir(to))
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", rel, err)
	}
	return nil
}

// original makes the place of a file's original.
func (r *repairer) original(rel string) (string, error) {
	to := r.path(r.out.Originals, rel)
	if err := r.fs.MkdirAll(path.Dir(to)); err != nil {
		return "", err
	}
	for dir := path.Dir(to); dir != path.Clean(r.o.Dir); dir = path.Dir(dir) {
		if err := r.fs.SyncDir(path.Dir(dir)); err != nil {
			return "", err
		}
	}
	return to, nil
}

func copyTo(to, from vfs.File) error {
	b := make([]byte, 1<<20)
	for off := int64(0); ; {
		n, err := from.ReadAt(b, off)
		if n > 0 {
			if _, err := to.WriteAt(b[:n], off); err != nil {
				return err
			}
			off += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// away moves a file to where the originals are.
func (r *repairer) away(rel string) error {
	to, err := r.original(rel)
	if err == nil {
		err = r.fs.Rename(r.path(rel), to)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(r.fs.SyncDir(path.Dir(to)), r.fs.SyncDir(path.Dir(r.path(rel))))
	}
	if err != nil {
		return fmt.Errorf("move %s away: %w", rel, err)
	}
	return nil
}

// write replaces a file, atomically and durably, and keeps its original.
func (r *repairer) write(fsys vfs.FS, rel string, b []byte) error {
	name := r.path(rel)
	if err := r.keep(name); err != nil {
		return err
	}
	temp := name + ".new"
	if err := r.fs.RemoveAll(temp); err != nil {
		return fmt.Errorf("write %s: %w", rel, err)
	}
	f, err := fsys.Create(temp)
	if err != nil {
		return fmt.Errorf("write %s: %w", rel, err)
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = r.fs.Rename(temp, name)
	}
	if err == nil {
		err = r.fs.SyncDir(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", rel, err)
	}
	return nil
}

// keyFiles makes the bad one of both from the good one.
func (r *repairer) keyFiles() error {
	for _, d := range r.damaged(KindKeys) {
		for _, name := range server.KeyFiles {
			if name == d.File {
				continue
			}
			b, err := vfs.ReadFile(r.fs, r.path(name))
			if err == nil {
				err = r.write(r.fs, d.File, b)
			}
			if err != nil {
				return err
			}
			r.rebuilt(d.File + ": from " + name)
		}
	}
	return nil
}

// identityFile writes the identity that the journal's files have. Where there are
// none, a new one is as good.
func (r *repairer) identityFile() error {
	if len(r.damaged(KindIdentity)) == 0 {
		return nil
	}
	b := make([]byte, server.IdentitySize)
	for !r.agreed && r.identity == 0 {
		if _, err := rand.Read(b); err != nil {
			return fmt.Errorf("make an identity: %w", err)
		}
		r.identity = binary.LittleEndian.Uint64(b)
	}
	binary.LittleEndian.PutUint64(b, r.identity)
	r.rebuilt(server.IdentityFile + ": from the journal's files")
	return r.write(r.fs, server.IdentityFile, b)
}

// errNoCatalog says what only a backup can bring back.
var errNoCatalog = errors.New("the catalog and its copy are damaged, and the journal does not have all of it: put one of them back from a backup")

// catalogFiles writes the catalog and its copy from the good one of them. Without
// any, a start makes them from the journal, if that has all.
func (r *repairer) catalogFiles() error {
	bad := r.damaged(KindCatalog)
	if len(bad) == 0 {
		return nil
	}
	if r.content == nil && r.firstMeta != 1 {
		return errNoCatalog
	}
	for _, d := range bad {
		if r.content == nil {
			if err := r.away(d.File); err != nil {
				return err
			}
			continue
		}
		if err := r.write(r.clear, d.File, server.Seal(r.content)); err != nil {
			return err
		}
		r.rebuilt(d.File + ": from the other one")
	}
	if r.content == nil {
		r.rebuilt(server.CatalogFile + ": from the journal")
	}
	return nil
}

// manifests writes the manifests of streams anew, from their segments.
func (r *repairer) manifests() error {
	v := seglog.OpenReadOnly(seglog.VolumeOptions{FS: r.fs, Dir: r.o.Dir, TailCache: -1, Keys: r.keys, Log: r.log})
	for _, d := range r.damaged(KindManifest) {
		r.replay = true
		h := r.logs[d.ID]
		if h == nil {
			if d.ID != 0 {
				d.Detail = "the stream's directory is missing: only what the journal still has is there"
				r.out.Lost = append(r.out.Lost, d)
			}
			continue
		}
		m, err := v.Remake(h.id, r.keep)
		if err != nil {
			return fmt.Errorf("rebuild %s: %w", d.File, err)
		}
		r.rebuilt(fmt.Sprintf("%s: from the segments, %d records, the last with sequence %d", d.File, m.Records, m.Last))
		r.warn("%s: messages that were deleted singly or by their limits may be back, and its consumers and changes of its configuration are those that the journal still has", d.Where())
		for _, file := range m.Unread {
			r.warn("%s: %s has bytes behind its last frame that are none: what they were is not known", d.Where(), r.rel(file))
		}
		h.remade = true
	}
	return v.Close()
}

// logsAgain makes again what follows from the records of a stream.
func (r *repairer) logsAgain() error {
	streams := map[uint64]bool{}
	for _, d := range r.damaged(KindSegment) {
		streams[d.ID] = true
	}
	for id, h := range r.logs {
		streams[id] = streams[id] || h.remade
	}
	v := seglog.OpenReadOnly(seglog.VolumeOptions{FS: r.fs, Dir: r.o.Dir, TailCache: -1, Keys: r.keys, Log: r.log})
	for _, id := range slices.Sorted(maps.Keys(streams)) {
		log, err := v.OpenLog(r.logs[id].id)
		if err != nil {
			return err
		}
		done, err := log.Rebuild(r.ctx, r.keep)
		for _, what := range done {
			r.rebuilt(r.rel(what))
		}
		if err != nil {
			return err
		}
	}
	return v.Close()
}

// runs moves bad runs of subject indexes away: a start makes the index again.
func (r *repairer) runs() error {
	for _, d := range r.damaged(KindSubjects) {
		if err := r.away(d.File); err != nil {
			return err
		}
		r.rebuilt(d.File + ": the next start makes the index from the records")
	}
	return nil
}

// salvage replays what is left of a damaged journal, or all of one for a stream whose
// state is lost, checkpoints everything, and moves the journal away: nothing in it is
// needed any more.
func (r *repairer) salvage() error {
	if !r.badJournal && !r.replay {
		return nil
	}
	s, err := server.OpenOffline(server.OfflineOptions{
		FS: r.fs, Dir: r.o.Dir, Lock: nothing{}, Log: r.log, Encryption: server.EncryptionConfig{Key: r.o.Key, Cipher: r.cipher()},
		OnDamage: func(*journal.DamageError) error { return nil },
		OnLost: func(id, first, last uint64) {
			d := Damage{Kind: KindJournal, File: server.JournalDir, ID: id, First: first, Last: last, Cost: CostRecords, Detail: "the journal has lost them"}
			if spec, ok := r.catalog.Stream(id); ok {
				d.Account, d.Stream = spec.Account, spec.Name
			}
			r.out.Lost = append(r.out.Lost, d)
		},
	})
	if err != nil {
		return fmt.Errorf("replay what is left of the journal: %w", err)
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("replay what is left of the journal: %w", err)
	}
	names, err := r.fs.List(r.path(server.JournalDir))
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".journal") {
			if err := r.away(path.Join(server.JournalDir, name)); err != nil {
				return err
			}
		}
	}
	r.rebuilt(server.JournalDir + ": replayed into the streams, and begun anew")
	return nil
}

// lock lists in the quarantine what could not be brought back.
func (r *repairer) lock() error {
	l, err := look(r.ctx, Options{FS: r.fs, Dir: r.o.Dir, Key: r.o.Key})
	if err != nil {
		return err
	}
	q := l.quarantine
	for _, d := range l.report.Damage {
		if d.Kind == KindSegment && !d.Quarantined {
			r.out.Quarantined = append(r.out.Quarantined, d)
			q.add(locked{Damage: d, At: r.now})
		}
	}
	for _, d := range r.out.Lost {
		q.add(locked{Damage: d, Lost: true, At: r.now})
	}
	if len(q.Entries) == 0 && len(r.damaged(KindQuarantine)) == 0 {
		return nil
	}
	return r.write(r.fs, quarantineFile, q.encode())
}

func (r *repairer) cipher() atrest.Cipher {
	if r.o.Key == "" {
		return atrest.Clear
	}
	return atrest.DefaultCipher()
}
