package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/seglog/sealed"
	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs"
)

// Options for Run and Repair. FS and Dir must be given.
type Options struct {
	FS  vfs.FS
	Dir string
	// Key is the configured key of a directory that is encrypted.
	Key string
	// Progress is told with each read how many of about how many bytes are read. nil:
	// nobody is.
	Progress func(done, total int64)
}

// Run looks at a whole directory. The error says why that could not be begun or
// finished; what is damaged is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := recognise(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("check %s: %w", o.Dir, err)
	}
	held, err := claim(o.FS, o.Dir)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", o.Dir, err)
	}
	l, err := look(ctx, o)
	if err = errors.Join(err, held.Close()); err != nil {
		return nil, fmt.Errorf("check %s: %w", o.Dir, err)
	}
	return l.report, nil
}

// looker looks at one directory, once.
type looker struct {
	o      Options
	ctx    context.Context
	disk   *disk
	total  int64
	report *Report

	keys   *atrest.Keyring // nil: nothing is encrypted
	sealed vfs.FS          // the disk with what is encrypted in the clear

	// What was learnt, in this order.
	identity    uint64 // of the journal's files, else that of the identity file
	agreed      bool   // the journal's files have that identity
	catalog     *meta.Catalog
	content     []byte // of the catalog's last checkpoint
	noCatalog   bool   // there is no file of it
	catalogBad  bool   // there is, but it cannot be read
	badCatalogs []Damage
	firstMeta   uint64 // index of the catalog's first entry in the journal; 0: none
	entries     int    // in the journal
	clean       bool   // the journal was closed
	badJournal  bool   // a start would refuse the journal
	logs        map[uint64]*held
	follow      map[uint64]*position // of the streams that the journal has entries of
	quarantine  *quarantine
}

// held is a stream's directory.
type held struct {
	id  record.Identity
	log *seglog.Log // nil: it cannot be opened

	remade bool // its manifest was written anew
}

// look reads everything. The caller holds the directory.
func look(ctx context.Context, o Options) (*looker, error) {
	l := &looker{
		o: o, ctx: ctx, disk: &disk{FS: o.FS}, catalog: meta.NewCatalog(), logs: map[uint64]*held{},
		report: &Report{Dir: o.Dir, Damage: []Damage{}},
	}
	l.catalog.Start(nil, unwatched{})
	var err error
	if l.total, l.report.Files, err = l.size(o.Dir); err != nil {
		return nil, err
	}
	if o.Progress != nil {
		l.disk.tell = func(read int64) { o.Progress(min(read, l.total), l.total) }
	}
	if err := l.lookKeys(); err != nil {
		return nil, err
	}
	v := seglog.OpenReadOnly(seglog.VolumeOptions{FS: l.disk, Dir: o.Dir, TailCache: -1, Keys: l.keys, Log: slog.New(slog.DiscardHandler)})
	for _, step := range []func(*seglog.Volume) error{
		l.lookQuarantine, l.lookIdentity, l.lookCatalog, l.openLogs, l.lookJournal, l.lookMissing, l.verifyLogs,
	} {
		if err := step(v); err != nil {
			return nil, err
		}
	}
	if err := v.Close(); err != nil {
		return nil, err
	}
	l.name()
	l.quarantine.mark(l.report)
	l.report.sort()
	l.report.Bytes = l.disk.read.Load()
	return l, nil
}

func (l *looker) path(name ...string) string {
	return path.Join(append([]string{l.o.Dir}, name...)...)
}

// rel is a file's name within the directory.
func (l *looker) rel(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, path.Clean(l.o.Dir)), "/")
}

func (l *looker) damage(d Damage) { l.report.Damage = append(l.report.Damage, d) }

// size sums up the files that a server wrote.
func (l *looker) size(dir string) (bytes int64, files int, err error) {
	names, err := l.o.FS.List(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, originals) && dir == l.o.Dir {
			continue
		}
		full := path.Join(dir, name)
		info, err := l.o.FS.Stat(full)
		if err != nil {
			return 0, 0, err
		}
		n, m := info.Size, 1
		if info.Dir {
			if n, m, err = l.size(full); err != nil {
				return 0, 0, err
			}
		}
		bytes, files = bytes+n, files+m
	}
	return bytes, files, l.ctx.Err()
}

func dirOf(id record.Identity) string { return fmt.Sprintf("%d-%d", id.ID, id.Incarnation) }

// originals begins the names of the directories where repairs keep what they
// changed.
const originals = "repair-"

// lookIdentity holds the identity against what the journal's files say.
func (l *looker) lookIdentity(*seglog.Volume) error {
	d := Damage{Kind: KindIdentity, File: server.IdentityFile, Cost: CostServer}
	b, err := vfs.ReadFile(l.disk, l.path(server.IdentityFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.Detail = "it is missing"
	case err != nil:
		return err
	case len(b) != server.IdentitySize:
		d.Length, d.Detail = int64(len(b)), fmt.Sprintf("it has %d bytes, not %d", len(b), server.IdentitySize)
	default:
		l.identity = binary.LittleEndian.Uint64(b)
	}
	id, any, err := journal.AgreedIdentity(l.disk, l.path(server.JournalDir))
	switch {
	case errors.Is(err, journal.ErrForeign):
		l.damage(Damage{Kind: KindJournal, File: server.JournalDir, Cost: CostServer, Detail: err.Error()})
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case any && d.Detail != "":
		d.Cost = CostNothing // the next start takes it from there, too
	case any && id != l.identity:
		d.Length, d.Detail = server.IdentitySize, "it is not that of the journal's files"
	}
	if any {
		l.identity, l.agreed = id, true
	}
	if d.Detail != "" {
		l.damage(d)
	}
	return nil
}

// lookCatalog reads the catalog's last checkpoint, and its copy.
func (l *looker) lookCatalog(*seglog.Volume) error {
	var content []byte
	missing, bad := 0, 0
	for _, name := range []string{server.CatalogFile, server.CatalogCopy} {
		b, err := l.readCatalog(name)
		switch {
		case err == nil:
			if content == nil {
				content = b
			}
			continue
		case errors.Is(err, fs.ErrNotExist):
			missing++
		case errors.Is(err, record.ErrDamaged):
			bad++
		default:
			return err
		}
		d := Damage{Kind: KindCatalog, File: name, Cost: CostNothing, Detail: err.Error()}
		if info, serr := l.disk.Stat(l.path(name)); serr == nil {
			d.Length = info.Size
		}
		l.badCatalogs = append(l.badCatalogs, d)
	}
	l.noCatalog = missing == 2
	if content == nil && bad > 0 {
		l.catalogBad = true
		for i := range l.badCatalogs {
			l.badCatalogs[i].Cost = CostServer
		}
	}
	if !l.noCatalog {
		l.report.Damage = append(l.report.Damage, l.badCatalogs...)
	}
	if content == nil {
		return nil
	}
	if err := l.catalog.Restore(content); err != nil {
		l.catalogBad = true
		l.report.skipped(server.CatalogFile, err)
	}
	l.content = content
	return nil
}

func (l *looker) readCatalog(name string) ([]byte, error) {
	b, err := vfs.ReadFile(l.sealed, l.path(name))
	if err != nil {
		return nil, err
	}
	return server.Unseal(b)
}

// errNoKey says that the directory cannot be read without a key.
var errNoKey = errors.New("it is encrypted: the key is needed that the server has as jetstream { key }")

// lookKeys opens the store keys, where there are any, and their copy.
func (l *looker) lookKeys() error {
	var last error
	var damaged []Damage
	for _, name := range server.KeyFiles {
		keys, err := server.ReadKeys(l.disk, l.o.Dir, name, l.o.Key)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			damaged = append(damaged, Damage{Kind: KindKeys, File: name, Cost: CostNothing, Detail: "it is missing"})
			continue
		case err == nil:
			if l.keys == nil {
				l.keys = keys
			}
			continue
		case l.o.Key == "":
			return errNoKey
		case errors.Is(err, atrest.ErrDamaged):
			damaged = append(damaged, Damage{Kind: KindKeys, File: name, Cost: CostNothing, Detail: err.Error()})
		}
		last = err
	}
	if len(damaged) == len(server.KeyFiles) && last == nil {
		damaged = nil // there are none
	}
	if l.keys == nil && last != nil {
		return last
	}
	l.report.Damage = append(l.report.Damage, damaged...)
	l.sealed = sealed.New(l.disk, l.keys)
	return nil
}

// name gives the damage the names of its streams.
func (l *looker) name() {
	for i := range l.report.Damage {
		d := &l.report.Damage[i]
		if spec, ok := l.catalog.Stream(d.ID); ok {
			d.Account, d.Stream = spec.Account, spec.Name
		}
	}
}

// unwatched is the watcher of a catalog that is only read.
type unwatched struct{}

func (unwatched) Created(meta.Spec, any) {}
func (unwatched) Dropped(meta.Spec)      {}
func (unwatched) Reconfigured(meta.Spec) {}
