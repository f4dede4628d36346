package check

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/seglog/subjects"
	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/stream"
)

// openLogs reads the manifests.
func (l *looker) openLogs(v *seglog.Volume) error {
	names, err := l.disk.List(l.path(server.StreamsDir))
	if errors.Is(err, fs.ErrNotExist) {
		l.damage(Damage{Kind: KindManifest, File: server.StreamsDir, Cost: CostRecords, Detail: "the directory of all streams is missing"})
		return nil
	}
	if err != nil {
		return err
	}
	ids, err := v.Logs()
	if err != nil {
		return err
	}
	l.report.Streams = len(ids)
	if len(names) > len(ids) {
		l.report.note("%d directories in %s are of no stream: what a deletion left, or somebody else's", len(names)-len(ids), server.StreamsDir)
	}
	for _, id := range ids {
		h := &held{id: id}
		if other := l.logs[id.ID]; other != nil && other.id.Incarnation > id.Incarnation {
			continue
		}
		l.logs[id.ID] = h
		log, err := v.OpenLog(id)
		switch {
		case err == nil:
			h.log = log
			if log.State() == nil && log.Last() > 0 {
				l.manifest(id, errNoState)
			}
		case errors.Is(err, record.ErrDamaged):
			l.manifest(id, err)
		default:
			l.report.skipped(path.Join(server.StreamsDir, dirOf(id)), err)
		}
	}
	return nil
}

// errNoState is what a repair leaves that was cut short.
var errNoState = errors.New("there are records, but not the state of their stream")

func (l *looker) manifest(id record.Identity, cause error) {
	file := seglog.ManifestFile(l.path(server.StreamsDir, dirOf(id)))
	d := Damage{Kind: KindManifest, File: l.rel(file), ID: id.ID, Cost: CostStream, Detail: cause.Error()}
	if info, err := l.disk.Stat(file); err == nil {
		d.Length = info.Size
	}
	l.damage(d)
}

// lookMissing says which files should be there: after a clean stop every stream
// has its directory, and whatever the catalog's entries began with is in it.
func (l *looker) lookMissing(*seglog.Volume) error {
	if l.noCatalog && l.firstMeta != 1 && (len(l.logs) > 0 || l.entries > 0) {
		l.catalogBad = true
		l.damage(Damage{Kind: KindCatalog, File: server.CatalogFile, Cost: CostServer, Detail: "it is missing, and the journal does not have all of it"})
	}
	if l.catalogBad {
		return nil
	}
	known := map[uint64]bool{}
	for _, s := range l.catalog.Streams() {
		known[s.ID] = true
		if l.logs[s.ID] != nil || inMemory(&s) {
			continue
		}
		if kind := elsewhere(&s); kind != "" {
			l.report.note("stream %s is kept in the storage %s: it is not looked at", s.Name, kind)
			continue
		}
		p := l.follow[s.ID]
		if l.clean || p != nil && p.first > 1 {
			l.damage(Damage{
				Kind: KindManifest, File: path.Join(server.StreamsDir, dirOf(s.Identity())), ID: s.ID, Cost: CostStream,
				Detail: "the stream's directory is missing",
			})
		}
	}
	for id, h := range l.logs {
		if !known[id] {
			l.report.note("%s belongs to no stream of the catalog: it stays, and nobody reads it", path.Join(server.StreamsDir, dirOf(h.id)))
		}
	}
	slices.Sort(l.report.Notes)
	return nil
}

func inMemory(s *meta.Spec) bool {
	var c stream.Config
	return json.Unmarshal(s.Config, &c) == nil && c.Memory
}

// elsewhere is the storage of somebody else's that keeps a stream; empty: none does.
func elsewhere(s *meta.Spec) string {
	var c stream.Config
	if json.Unmarshal(s.Config, &c) != nil {
		return ""
	}
	return c.Kind
}

// verifyLogs reads all segments and subject runs.
func (l *looker) verifyLogs(*seglog.Volume) error {
	for _, h := range l.logs {
		dir := l.path(server.StreamsDir, dirOf(h.id))
		if h.log != nil {
			_, err := h.log.Verify(l.ctx, func(d *seglog.DamageError) { l.segment(h.id, d) })
			if l.ctx.Err() != nil {
				return l.ctx.Err()
			}
			if err != nil {
				l.report.skipped(l.rel(dir), err)
			}
		}
		if err := l.verifyRuns(dir, h.id); err != nil {
			return err
		}
	}
	return nil
}

func (l *looker) segment(id record.Identity, e *seglog.DamageError) {
	d := Damage{
		Kind: KindSegment, File: l.rel(e.File), Offset: e.Offset, Length: e.Length, ID: id.ID,
		First: e.First, Last: e.Last, Cost: CostRecords, Detail: e.Err.Error(),
	}
	switch {
	case !strings.HasSuffix(e.File, ".seg"):
		d.Kind, d.Cost = KindManifest, CostStream
	case e.Last == 0:
		d.Cost = CostNothing
	}
	l.damage(d)
}

// verifyRuns reads the runs of a stream's subject index. Which of them count is
// the stream's to say: a bad one that does not costs nothing, either.
func (l *looker) verifyRuns(dir string, id record.Identity) error {
	names, err := l.disk.List(dir)
	if err != nil {
		return err
	}
	for _, name := range subjects.Runs(names) {
		full := path.Join(dir, name)
		off, err := subjects.Verify(l.sealed, full, id)
		switch {
		case err == nil:
		case errors.Is(err, record.ErrDamaged):
			l.damage(Damage{
				Kind: KindSubjects, File: l.rel(full), Offset: off, ID: id.ID, Cost: CostNothing,
				Detail: err.Error(),
			})
		default:
			l.report.skipped(l.rel(full), err)
		}
	}
	return nil
}
