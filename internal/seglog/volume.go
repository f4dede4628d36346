package seglog

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Defaults of VolumeOptions.
const (
	DefaultSegmentBytes = 64 << 20
	DefaultFlushBytes   = 1 << 20
	DefaultTailCache    = 64 << 20
	DefaultMaxFiles     = 512
	DefaultRetryEvery   = time.Second
	DefaultDirectFrom   = 256 << 10
	DefaultReclaimFrom  = 1 << 20
	DefaultRosterCache  = 32 << 20
	DefaultExtentFrom   = 512 << 10 // from where one write and two syncs are quicker than two writes
)

// VolumeOptions are for Open. FS and Dir must be given.
type VolumeOptions struct {
	FS  vfs.FS
	Dir string // the data directory; it exists

	SegmentBytes int64         // length of a segment, not counting its footer; the first ones are smaller. 0: 64 MiB
	FlushBytes   int64         // a log with that much in memory only is written behind. 0: 1 MiB
	DirectFrom   int64         // writes of that many bytes go past the page cache, where the file system can. 0: 256 KiB; below 0: none
	ExtentFrom   int64         // frames of that many bytes get places in extents, see Log.Extent. 0: 512 KiB; below 0: none
	TailCache    int64         // bytes of written frames that stay readable in memory. 0: 64 MiB; below 0: none
	MaxFiles     int           // segments open for readers. 0: 512
	RetryEvery   time.Duration // after a failed write. 0: 1 s
	RosterCache  int64         // bytes of the subjects of segments, kept for readers of few subjects. 0: 32 MiB
	ReclaimFrom  int64         // Log.Reclaim writes segments anew to save that many bytes at least. 0: 1 MiB
	Log          *slog.Logger  // nil: slog.Default

	// OnDamage is told of each damaged place once, by whoever comes upon it first, a
	// reader or Scrub. It must not block. nil: it is logged.
	OnDamage func(*Log, *DamageError)

	// Keys encrypt what is written from now on, and decrypt what was. nil: nothing is
	// encrypted, and encrypted files cannot be read.
	Keys *atrest.Keyring
	// Compression of what is written to logs for which SetCompression says none.
	Compression atrest.Compression
}

// Volume holds the logs below one data directory.
type Volume struct {
	// set at construction
	fs           vfs.FS
	streams      string
	segmentBytes int64
	flushBytes   int64
	directFrom   int64
	extentFrom   int64
	tailCache    int64
	reclaimFrom  int64
	retryEvery   time.Duration
	keys         *atrest.Keyring
	compression  atrest.Compression
	log          *slog.Logger
	files        *files
	rosters      rosters
	pieces       pieces
	wake         chan struct{} // 1 token: there is work for the flusher
	onDamage     func(*Log, *DamageError)

	damaged  places
	scrubbed atomic.Uint64
	cached   atomic.Int64 // bytes of written frames in memory, of all logs
	// collecting is how many bytes the collectors of all logs take.
	collecting atomic.Int64

	extentsOpen atomic.Int64  // extents that are made or being filled
	extentUses  atomic.Uint64 // counts the places that they gave

	mu      sync.Mutex
	logs    map[record.Identity]*Log
	queue   []*Log         // with enough to write behind
	retry   []*Log         // whose write failed
	wanting []*Log         // that want an extent
	without []*Log         // for which none could be made; they want one again later
	failing map[*Log]error // until a write succeeds

	cacheMu sync.Mutex
	caching list.List // of *Log with written frames in memory, in turn
}

const (
	streamsDir    = "streams"
	droppedSuffix = ".dropped"
)

// Open opens the volume in a data directory and finishes the removals that a
// crash or an error interrupted; what cannot be removed stays until the next time.
// It reads no log.
func Open(o VolumeOptions) (*Volume, error) {
	v := newVolume(o)
	if err := v.fs.MkdirAll(v.streams); err != nil {
		return nil, fmt.Errorf("make directory of streams: %w", err)
	}
	if err := v.fs.SyncDir(o.Dir); err != nil {
		return nil, fmt.Errorf("sync data directory: %w", err)
	}
	names, err := v.fs.List(v.streams)
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	for _, name := range names {
		id, dropped := strings.CutSuffix(name, droppedSuffix)
		if _, ok := parseDirName(id); ok && dropped {
			if err := v.fs.RemoveAll(path.Join(v.streams, name)); err != nil {
				v.log.Warn("files of a dropped log stay", "directory", name, "error", err)
			}
		}
	}
	return v, nil
}

func newVolume(o VolumeOptions) *Volume {
	v := &Volume{
		fs:           o.FS,
		streams:      path.Join(o.Dir, streamsDir),
		segmentBytes: orDefault(o.SegmentBytes, DefaultSegmentBytes),
		flushBytes:   orDefault(o.FlushBytes, DefaultFlushBytes),
		directFrom:   orDefault(o.DirectFrom, DefaultDirectFrom),
		extentFrom:   orDefault(o.ExtentFrom, DefaultExtentFrom),
		tailCache:    orDefault(o.TailCache, DefaultTailCache),
		reclaimFrom:  orDefault(o.ReclaimFrom, DefaultReclaimFrom),
		retryEvery:   orDefault(o.RetryEvery, DefaultRetryEvery),
		keys:         o.Keys,
		compression:  o.Compression,
		log:          o.Log,
		files:        newFiles(o.FS, orDefault(o.MaxFiles, DefaultMaxFiles)),
		rosters:      rosters{most: orDefault(o.RosterCache, DefaultRosterCache)},
		wake:         make(chan struct{}, 1),
		onDamage:     o.OnDamage,
		logs:         make(map[record.Identity]*Log),
		failing:      make(map[*Log]error),
	}
	if v.log == nil {
		v.log = slog.Default()
	}
	return v
}

func orDefault[T ~int | ~int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// target is the length at which segment no is sealed.
func (v *Volume) target(no uint64) int64 {
	shift := smallFirst - int64(min(no, smallFirst))
	return max(v.segmentBytes>>shift, min(v.segmentBytes, minSegment))
}

func dirName(id record.Identity) string {
	return strconv.FormatUint(id.ID, 10) + "-" + strconv.FormatUint(uint64(id.Incarnation), 10)
}

// Dir is where the files of a log lie. It is made with the first of them.
func (v *Volume) Dir(id record.Identity) string { return v.logDir(id) }

func (v *Volume) logDir(id record.Identity) string { return path.Join(v.streams, dirName(id)) }

// parseDirName is the inverse of dirName.
func parseDirName(name string) (id record.Identity, ok bool) {
	a, b, _ := strings.Cut(name, "-")
	n, err1 := strconv.ParseUint(a, 10, 64)
	inc, err2 := strconv.ParseUint(b, 10, 32)
	id = record.Identity{ID: n, Incarnation: uint32(inc)}
	return id, err1 == nil && err2 == nil && dirName(id) == name
}

// segmentNumber is the inverse of segmentName.
func segmentNumber(name string) (uint64, bool) {
	no, err := strconv.ParseUint(strings.TrimSuffix(name, ".seg"), 10, 64)
	return no, err == nil && segmentName(no) == name
}

// Logs lists the identities that have a directory, in no order.
func (v *Volume) Logs() ([]record.Identity, error) {
	names, err := v.fs.List(v.streams)
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	var ids []record.Identity
	for _, name := range names {
		if id, ok := parseDirName(name); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// OpenLog opens the log of an identity as its last checkpoint left it. One that
// is not on disk is empty, and nothing is created before its first write. A
// manifest that cannot be read, or is missing where there are segments, is an
// error that wraps record.ErrDamaged: damage is never taken for an empty log.
func (v *Volume) OpenLog(id record.Identity) (*Log, error) {
	l := newLog(v, id)
	v.mu.Lock()
	_, open := v.logs[id]
	if !open {
		v.logs[id] = l
	}
	v.mu.Unlock()
	if open {
		return nil, fmt.Errorf("open log %s: %w", dirName(id), ErrOpen)
	}
	if err := l.load(); err != nil {
		v.remove(l)
		return nil, fmt.Errorf("open log %s: %w", dirName(id), err)
	}
	return l, nil
}

// load reads the manifest, if there is one.
func (l *Log) load() error {
	names, err := l.v.fs.List(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list its directory: %w", err)
	}
	b, err := l.readManifest()
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range names {
			if _, ok := segmentNumber(name); ok {
				return fmt.Errorf("%s has segments but no manifest: %w", l.dir, record.ErrDamaged)
			}
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	m, err := parseManifest(b)
	if err != nil {
		return fmt.Errorf("%s: %w", l.path(manifestName), err)
	}
	return l.restore(m, names)
}

func (l *Log) readManifest() ([]byte, error) {
	f, err := l.v.fs.OpenRead(l.path(manifestName))
	if err != nil {
		return nil, err
	}
	defer closeAll([]vfs.File{f})
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return l.openManifest(b)
}

// remove forgets a closed log.
func (v *Volume) remove(l *Log) {
	v.mu.Lock()
	delete(v.logs, l.id)
	delete(v.failing, l)
	v.mu.Unlock()
	v.cacheMu.Lock()
	defer v.cacheMu.Unlock()
	if l.cacheElem != nil {
		v.caching.Remove(l.cacheElem)
		l.cacheElem = nil
	}
}

// Err says why writing fails at present; nil while all is well.
func (v *Volume) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, err := range v.failing {
		return err
	}
	return nil
}

// report notes how the last write of a log went.
func (v *Volume) report(l *Log, err error) {
	v.mu.Lock()
	_, was := v.failing[l]
	if err == nil {
		delete(v.failing, l)
	} else if v.logs[l.id] == l {
		v.failing[l] = err
	}
	v.mu.Unlock()
	switch {
	case err != nil && !was:
		v.log.Error("log cannot be written", "log", dirName(l.id), "error", err)
	case err == nil && was:
		v.log.Info("log is written again", "log", dirName(l.id))
	}
}

// Close closes all logs. What is in no checkpoint is not kept.
func (v *Volume) Close() error {
	v.mu.Lock()
	logs := make([]*Log, 0, len(v.logs))
	for _, l := range v.logs {
		logs = append(logs, l)
	}
	v.mu.Unlock()
	var errs []error
	for _, l := range logs {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
