package check

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/server"
)

// follower goes through the journal's entries as a start would.
type follower struct {
	*looker
	now    *journal.DamageError // the damage that was come upon last
	groups map[uint64]*position
}

// position is how far a stream is known.
type position struct {
	begun bool
	last  uint64 // sequence
	first uint64 // index of its first entry in the journal
	index uint64 // of its last entry there
}

// lookJournal follows the journal and says which records of which streams are in
// neither it nor the segments.
func (l *looker) lookJournal(*seglog.Volume) error {
	dir := l.path(server.JournalDir)
	names, err := l.disk.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		l.damage(Damage{Kind: KindJournal, File: server.JournalDir, Cost: CostNothing, Detail: "the directory is missing: what no checkpoint has is lost"})
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".journal") {
			l.report.note("%s is not used; a start removes it if a crash left it", path.Join(server.JournalDir, name))
		}
	}
	f := &follower{looker: l, groups: map[uint64]*position{}}
	for id, h := range l.logs {
		if h.log != nil {
			f.groups[id] = &position{begun: len(h.log.Files()) > 0, last: h.log.Last()}
		}
	}
	rec, err := journal.Check(journal.Options{FS: l.disk, Dir: dir, Identity: l.identity, Keys: l.keys, OnDamage: f.damaged, Fetch: f.fetch}, f.entry)
	if l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	if errors.Is(err, journal.ErrForeign) {
		return nil // said with the identity
	}
	if err != nil {
		l.report.skipped(server.JournalDir, err)
		return nil
	}
	l.clean = rec.Clean
	l.badJournal = l.badJournal || len(rec.Damage) > 0
	if rec.Torn {
		l.report.note("%s ends at offset %d with a batch that was never acknowledged: a crash left it, and the next start cuts it off",
			path.Join(server.JournalDir, rec.End.File), rec.End.Offset)
	}
	l.follow = f.groups
	return nil
}

// damaged notes damage of the journal itself.
func (f *follower) damaged(d *journal.DamageError) error {
	f.now = d
	detail := ""
	if d.From != d.To {
		detail = fmt.Sprintf("batches %d to %d: %s", d.From, d.To, d.Reason)
	} else {
		detail = fmt.Sprintf("batch %d: %s", d.From, d.Reason)
	}
	lost := map[uint64]int{}
	for _, e := range d.Lost {
		lost[uint64(e.Group)]++
	}
	for _, id := range slices.Sorted(maps.Keys(lost)) {
		detail += fmt.Sprintf("; %d entries of %s", lost[id], f.whose(id))
	}
	f.damage(Damage{Kind: KindJournal, File: f.place(), Offset: d.Offset, Length: d.Length, Cost: CostServer, Detail: detail})
	return f.ctx.Err()
}

// place is the file that is damaged.
func (f *follower) place() string {
	if f.now == nil || f.now.File == "" {
		return server.JournalDir
	}
	return path.Join(server.JournalDir, f.now.File)
}

func (f *follower) whose(id uint64) string {
	if id == server.CatalogGroup {
		return "the catalog"
	}
	if spec, ok := f.catalog.Stream(id); ok {
		return "stream " + spec.Name
	}
	return fmt.Sprintf("stream %d", id)
}

// entry takes one entry into account.
func (f *follower) entry(e journal.Entry) error {
	f.entries++
	id := uint64(e.Group)
	if id == server.CatalogGroup {
		if f.firstMeta == 0 {
			f.firstMeta = e.Index
		}
		if err := f.catalog.Apply(e.Index, record.Kind(e.Kind), e.Data, nil); err != nil {
			f.report.note("entry %d of the catalog has no effect: %v", e.Index, err)
		}
		return f.ctx.Err()
	}
	p := f.reach(id, e.Index)
	if record.Kind(e.Kind) == record.KindFrame {
		f.frame(id, p, e.Data)
	}
	return f.ctx.Err()
}

// reach notes that a stream has an entry.
func (f *follower) reach(id, index uint64) *position {
	p := f.groups[id]
	if p == nil {
		p = &position{}
		f.groups[id] = p
	}
	if p.first == 0 {
		p.first = index
	}
	p.index = index
	return p
}

// frame holds a frame of the journal against what comes before it.
func (f *follower) frame(id uint64, p *position, data []byte) {
	h, dir, err := record.ParseHeader(data)
	if err == nil && record.HeaderLen+dir > len(data) {
		err = record.ErrDamaged
	}
	if err == nil {
		err = record.VerifyHead(h, data[:record.HeaderLen+dir])
	}
	if err != nil {
		f.damage(Damage{Kind: KindJournal, File: f.place(), ID: id, Cost: CostStream, Detail: fmt.Sprintf("entry %d is no frame: %v", p.index, err)})
		return
	}
	fr := record.Frame{Header: h, Head: data[:record.HeaderLen+dir]}
	// What a restored backup left out is missing in explicit frames.
	if p.begun && h.Base > p.last+1 && h.Flags&record.FlagExplicit == 0 {
		d := Damage{Kind: KindJournal, File: f.place(), ID: id, First: p.last + 1, Last: h.Base - 1, Cost: CostRecords, Detail: "they are in no segment, and in the journal they are lost"}
		if f.now != nil {
			d.Offset, d.Length = f.now.Offset, f.now.Length
		}
		f.damage(d)
	}
	p.begun = true
	p.last = max(p.last, fr.Last())
}
