package streamtest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	"golang.org/x/sync/errgroup"
)

// Options for Start.
type Options struct {
	// FS is the disk; nil: a new one.
	FS       *faultfs.FS
	Dialects map[string]stream.Dialect
	Foreign  map[string]func([]byte) (any, error)
	Outlet   func() stream.Outlet
	// Serve begins to answer requests in an account's space, for doors.
	Serve func(d *stream.Directory, s *broker.Space) (stop func())
	// Deleted hears of streams that are deleted, see stream.Options.
	Deleted func(account, name string, m *stream.Member)
	// Accounts that exist; none: "A".
	Accounts []string
	Budget   func(account string, memory bool) partition.Budget
	Log      io.Writer // nil: nothing is logged
	// Batches bound the batches of streams.
	Batches stream.BatchLimits
}

// Node is a running node.
type Node struct {
	FS      *faultfs.FS
	Streams *stream.Directory
	Catalog *meta.Catalog

	t       testing.TB
	o       Options
	disk    *disk
	workers *broker.Workers
	spaces  *broker.Spaces
	stops   []func()
	running *errgroup.Group
	cancel  context.CancelFunc
	ended   bool
}

// free is a Budget without limit.
type free struct{}

func (free) Reserve(uint64) bool { return true }
func (free) Return(uint64)       {}

// Start opens what is on the disk and serves it. The test's end stops the node.
func Start(t testing.TB, o Options) *Node {
	t.Helper()
	if o.FS == nil {
		o.FS = faultfs.New()
	}
	if len(o.Accounts) == 0 {
		o.Accounts = []string{"A"}
	}
	if o.Budget == nil {
		o.Budget = func(string, bool) partition.Budget { return free{} }
	}
	w := o.Log
	if w == nil {
		w = io.Discard
	}
	log := slog.New(slog.NewTextHandler(w, nil))
	n := &Node{FS: o.FS, t: t, o: o, workers: broker.NewWorkers(4, 0)}
	n.spaces = broker.NewSpaces(n.workers)
	var err error
	if n.disk, err = openDisk(o.FS, log); err != nil {
		t.Fatal(err)
	}
	n.Catalog = n.disk.catalog
	n.Streams = stream.New(stream.Options{
		Catalog: n.Catalog, Opener: n.disk, Space: n.Space, Budget: o.Budget, Dialects: o.Dialects, Foreign: o.Foreign, Outlet: o.Outlet, Shards: 2, Log: log, Batches: o.Batches,
		Deleted: o.Deleted,
	})
	if err := n.disk.recover(n.Streams); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.running, ctx = errgroup.WithContext(ctx)
	n.running.Go(func() error { return n.Streams.Run(ctx) })
	n.running.Go(func() error { return n.disk.volume.Run(ctx) })
	n.Streams.Serve()
	if o.Serve != nil {
		for _, a := range o.Accounts {
			n.stops = append(n.stops, o.Serve(n.Streams, n.spaces.Get(a)))
		}
	}
	t.Cleanup(n.end)
	return n
}

// Space is an account's subject space; nil if there is no such account.
func (n *Node) Space(account string) *broker.Space {
	for _, a := range n.o.Accounts {
		if a == account {
			return n.spaces.Get(a)
		}
	}
	return nil
}

// Checkpoint makes everything durable outside the journal.
func (n *Node) Checkpoint() {
	n.t.Helper()
	if err := n.disk.checkpoint(); err != nil {
		n.t.Fatal(err)
	}
}

// Stop ends the node in order.
func (n *Node) Stop() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Streams.Quiesce(ctx); err != nil {
		n.t.Error(err)
	}
	if err := n.disk.checkpoint(); err != nil {
		n.t.Error(err)
	}
	n.end()
}

// end stops what runs and leaves the disk as it is.
func (n *Node) end() {
	if n.ended {
		return
	}
	n.ended = true
	for _, f := range n.stops {
		f()
	}
	n.workers.Close()
	n.cancel()
	if err := errors.Join(n.running.Wait(), n.disk.close()); err != nil {
		n.t.Logf("end of the node: %v", err)
	}
}

// Restart stops the node in order and starts it again.
func (n *Node) Restart() *Node {
	n.t.Helper()
	n.Stop()
	return Start(n.t, n.o)
}

// Crash ends the node at once and starts one on what the crash leaves of its
// disk: of what was not synced nothing, all or a part, by mode and seed.
func (n *Node) Crash(mode faultfs.Mode, seed uint64) *Node {
	n.t.Helper()
	o := n.o
	o.FS = n.FS.CrashClone(mode, seed)
	n.end()
	return Start(n.t, o)
}
