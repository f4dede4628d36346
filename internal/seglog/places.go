package seglog

import "sync"

// maxPlaces bounds how many damaged places a volume remembers. A disk with more
// is told of by those.
const maxPlaces = 4096

// places remembers which damaged places were told of, so that each is told of
// once, however often it is read.
type places struct {
	mu    sync.Mutex
	known map[string]map[int64]bool // by file, then offset; guarded by mu
	count int                       // guarded by mu
}

// add says whether a place is new.
func (p *places) add(file string, off int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count >= maxPlaces || p.known[file][off] {
		return false
	}
	if p.known == nil {
		p.known = make(map[string]map[int64]bool)
	}
	if p.known[file] == nil {
		p.known[file] = make(map[int64]bool)
	}
	p.known[file][off] = true
	p.count++
	return true
}

// forget forgets the places of a file that is no longer in use: its name may be
// used again.
func (p *places) forget(file string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count -= len(p.known[file])
	delete(p.known, file)
}

// tell tells of a damaged place of a log, once.
func (v *Volume) tell(l *Log, d *DamageError) {
	if !v.damaged.add(d.File, d.Offset) {
		return
	}
	if v.onDamage != nil {
		v.onDamage(l, d)
		return
	}
	v.log.Error("damage found", "file", d.File, "offset", d.Offset, "length", d.Length, "first", d.First, "last", d.Last, "error", d.Err)
}
