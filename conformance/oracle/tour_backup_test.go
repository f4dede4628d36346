package oracle_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"sync/atomic"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
)

func init() {
	tours["backups"] = tourBackups
	tours["backups in memory"] = tourBackupsInMemory
}

// backupDir is a directory of a server's own.
func (t *tour) backupDir() each {
	return func(e *end) any { return filepath.Join(e.server.Dir, "backup") }
}

// buffer is a file that needs none.
type buffer struct{ bytes.Buffer }

func (b *buffer) Close() error { return nil }

func newBuffers() both { return both{&buffer{}, &buffer{}} }

// reader reads what a buffer holds from its start.
func (b both) reader() each {
	return func(e *end) any {
		of := b.ref
		if e.name == "weir" {
			of = b.weir
		}
		return io.NopCloser(bytes.NewReader(of.(*buffer).Bytes()))
	}
}

// filled makes a stream with messages, one deleted, and a consumer that has gone on.
func (t *tour) filled(name string, opts ...jsm.StreamOption) both {
	t.Helper()
	s := t.call((*jsm.Manager).NewStream, t.manager, name, append(opts, jsm.Subjects(name+".>")))
	t.publish(name+".1", "one", "two", "three")
	t.publish(name+".2", "four")
	t.call((*jsm.Stream).DeleteMessageRequest, s, api.JSApiMsgDeleteRequest{Seq: 2})
	t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("c"))
	return s
}

// holdsAgain compares what a restored stream of filled holds.
func (t *tour) holdsAgain(name string) {
	t.Helper()
	s := t.call((*jsm.Manager).LoadStream, t.manager, name)
	t.call((*jsm.Stream).State, s, api.JSApiStreamInfoRequest{DeletedDetails: true, SubjectsFilter: ">"})
	for _, seq := range []uint64{1, 3, 4} {
		t.call((*jsm.Stream).ReadMessage, s, seq)
	}
	t.call((*jsm.Manager).Consumers, t.manager, name)
}

func tourBackups(t *tour) {
	m, ctx := t.manager, context.Background()
	s := t.filled("S", jsm.FileStorage())
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 1}, 1)
	var saving, loading atomic.Int64
	saved, loaded := jsm.SnapshotNotify(func(jsm.SnapshotProgress) { saving.Add(1) }), jsm.RestoreNotify(func(jsm.RestoreProgress) { loading.Add(1) })
	dir := t.backupDir()
	t.call((*jsm.Stream).SnapshotToDirectory, s, ctx, dir, jsm.SnapshotConsumers(), jsm.SnapshotHealthCheck(), jsm.SnapshotChunkSize(4<<10), saved)
	t.fails((*jsm.Stream).SnapshotToDirectory, s, ctx, dir) // there is one
	data, meta := newBuffers(), newBuffers()
	t.call((*jsm.Stream).SnapshotToBuffer, s, ctx, data, meta, jsm.SnapshotDebug(), jsm.SnapshotConsumers())
	window := newBuffers()
	_, _ = t.try((*jsm.Stream).SnapshotToBuffer, []any{s, ctx, window, newBuffers(), jsm.SnapshotWindowSize(1 << 20)})
	t.call(jsm.SnapshotDataPath, dir)
	t.fails((*jsm.Manager).RestoreSnapshotFromDirectory, m, ctx, "S", dir)
	t.fails((*jsm.Manager).RestoreSnapshotFromDirectory, m, ctx, "T", dir)
	t.call((*jsm.Stream).Delete, s)
	t.call((*jsm.Manager).RestoreSnapshotFromDirectory, m, ctx, "S", dir, loaded)
	t.holdsAgain("S")
	t.publish("S.3", "five")
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 1}, 1)
	t.call((*jsm.Manager).DeleteStream, m, "S")
	t.call((*jsm.Manager).RestoreSnapshotFromBuffer, m, ctx, "S", data.reader(), meta.reader(), each(func(e *end) any {
		config := pick(s, e).Configuration()
		config.Description = "restored"
		return jsm.RestoreConfiguration(config)
	}), jsm.WithProgress(1))
	t.holdsAgain("S")
	t.call((*jsm.Manager).DeleteStream, m, "S")
	t.fails((*jsm.Manager).RestoreSnapshotFromBuffer, m, ctx, "S", each(func(*end) any { return io.NopCloser(bytes.NewReader([]byte("no backup"))) }), meta.reader())
	t.call((*jsm.Manager).IsKnownStream, m, "S")
	if saving.Load() < 2 || loading.Load() < 2 {
		t.Errorf("progress was told %d and %d times", saving.Load(), loading.Load())
	}
}

func tourBackupsInMemory(t *tour) {
	s := t.filled("M", jsm.MemoryStorage())
	data, meta := newBuffers(), newBuffers()
	_, _ = t.try((*jsm.Stream).SnapshotToBuffer, []any{s, context.Background(), data, meta})
}
