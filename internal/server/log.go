package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// reopened is a log file that can be opened anew, for those who rotate it.
type reopened struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
	f  *os.File  // guarded by mu; nil for standard error
}

func (r *reopened) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.w.Write(b)
}

// openLogs begins to log as configured.
func openLogs(c *LogConfig, stderr io.Writer) (*logs, error) {
	l := &logs{level: new(slog.LevelVar), path: c.File, out: &reopened{w: stderr}}
	if c.File != "" {
		if err := l.openFile(); err != nil {
			return nil, err
		}
	}
	l.setLevel(c)
	o := &slog.HandlerOptions{Level: l.level, ReplaceAttr: l.shapeTime}
	if c.Format == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(l.out, o))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(l.out, o))
	}
	return l, nil
}

func (l *logs) openFile() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open the log file: %w", err)
	}
	l.out.mu.Lock()
	old := l.out.f
	l.out.f, l.out.w = f, f
	l.out.mu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

// setLevel puts into force what may change while the server runs.
func (l *logs) setLevel(c *LogConfig) {
	l.noTime.Store(c.NoTime)
	l.utc.Store(c.UTC)
	l.level.Set(slog.LevelInfo)
	if c.Debug || c.Trace {
		l.level.Set(slog.LevelDebug)
	}
}

// shapeTime writes a line's time as configured, or leaves it out.
func (l *logs) shapeTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 || a.Key != slog.TimeKey || a.Value.Kind() != slog.KindTime {
		return a
	}
	switch {
	case l.noTime.Load():
		return slog.Attr{}
	case l.utc.Load():
		return slog.Time(a.Key, a.Value.Time().UTC())
	}
	return a
}

// reopen opens the log file anew.
func (l *logs) reopen() {
	if l.path == "" {
		return
	}
	if err := l.openFile(); err != nil {
		l.Error("log file not opened anew", "error", err)
	}
}

func (l *logs) close() error {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	if l.out.f == nil {
		return nil
	}
	return l.out.f.Close()
}
