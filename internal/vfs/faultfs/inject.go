package faultfs

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// Kind is a kind of operation.
type Kind uint8

// The kinds of operations.
const (
	Any Kind = iota
	Create
	Open
	Read
	Write
	Sync
	Truncate
	Allocate
	Rename
	Remove
	Mkdir
	SyncDir
	Lock
	List
)

var kindNames = [...]string{
	"any", "create", "open", "read", "write", "sync", "truncate", "allocate",
	"rename", "remove", "mkdir", "syncdir", "lock", "list",
}

func (k Kind) String() string { return kindNames[k] }

// Op is one call, as an injector sees it before it is done.
type Op struct {
	N    uint64 // from 1, over the whole file system
	Kind Kind
	Name string
	Off  int64
	Size int64
}

// Fault is what happens instead of the call. Without Err a Write, Sync or
// SyncDir does nothing and claims success; other calls pass.
type Fault struct {
	Err   error
	Short int // bytes of a Write that are done before Err
}

// Injector decides about calls. Inject runs without locks, on the goroutine of
// the caller, and may block it; nil lets the call pass. String says how to make
// the same injector again.
type Injector interface {
	Inject(op Op) *Fault
	String() string
}

// FailNth fails the n-th call (from 1) of a kind, once.
func FailNth(kind Kind, n int, err error) Injector {
	return &counted{kind: kind, from: int64(n), to: int64(n), err: err}
}

// FailFrom fails the n-th call (from 1) of a kind and all after it.
func FailFrom(kind Kind, n int, err error) Injector {
	return &counted{kind: kind, from: int64(n), to: 1<<63 - 1, err: err}
}

// ShortWrite writes only the first part bytes of the n-th write, then fails.
func ShortWrite(n, part int, err error) Injector {
	return &counted{kind: Write, from: int64(n), to: int64(n), err: err, short: part}
}

// Lie makes every Write, Sync or SyncDir (by kind) succeed without any effect
// from the n-th on: the negative control of a test that needs it.
func Lie(kind Kind, n int) Injector { return FailFrom(kind, n, nil) }

type counted struct {
	kind     Kind
	from, to int64
	err      error
	short    int
	seen     atomic.Int64
}

func (c *counted) Inject(op Op) *Fault {
	if c.kind != Any && c.kind != op.Kind {
		return nil
	}
	if n := c.seen.Add(1); n < c.from || n > c.to {
		return nil
	}
	return &Fault{Err: c.err, Short: c.short}
}

func (c *counted) String() string {
	switch {
	case c.err == nil:
		return fmt.Sprintf("Lie(%v, %d)", c.kind, c.from)
	case c.short > 0:
		return fmt.Sprintf("ShortWrite(%d, %d, %v)", c.from, c.short, c.err)
	case c.from == c.to:
		return fmt.Sprintf("FailNth(%v, %d, %v)", c.kind, c.from, c.err)
	default:
		return fmt.Sprintf("FailFrom(%v, %d, %v)", c.kind, c.from, c.err)
	}
}

// OnName limits an injector to names that contain part.
func OnName(part string, in Injector) Injector { return named{part, in} }

type named struct {
	part string
	in   Injector
}

func (n named) Inject(op Op) *Fault {
	if !strings.Contains(op.Name, n.part) {
		return nil
	}
	return n.in.Inject(op)
}

func (n named) String() string { return fmt.Sprintf("OnName(%q, %v)", n.part, n.in) }

// Func makes an injector of a function; name is what it prints.
func Func(name string, f func(op Op) *Fault) Injector { return function{name, f} }

type function struct {
	name string
	f    func(op Op) *Fault
}

func (f function) Inject(op Op) *Fault { return f.f(op) }
func (f function) String() string      { return f.name }
