package streams_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

// directories are where the streams lie.
func (b *bench) directories() []string {
	b.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(b.server.Dir, "store", "streams", "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return dirs
}

// spoil flips a bit of the manifest in a directory.
func (b *bench) spoil(dir string) {
	b.t.Helper()
	file := filepath.Join(dir, "manifest")
	content, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// make creates a stream and stores some messages there, each on a subject of its own.
func (b *bench) make(c jetstream.StreamConfig, prefix string, n int) {
	b.t.Helper()
	if _, err := b.js.CreateStream(b.ctx, c); err != nil {
		b.t.Fatalf("make stream %s: %v", c.Name, err)
	}
	for i := range n {
		b.publish(fmt.Sprint(prefix, i), "x")
	}
}

// A stream whose files are damaged is deleted without a repair, by a client or by weir's own
// command, and made anew at once; the others never miss anything.
func TestADamagedStreamIsDeletedAndMadeAnew(t *testing.T) {
	if harness.Peer() {
		t.Skip("the files are Weir's")
	}
	b := start(t)
	b.fill(10)
	b.consumer(jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy})
	b.server.Stop()
	first := b.directories()
	b.server.Run()
	b.reconnect()
	parts := jetstream.StreamConfig{Name: "P", Subjects: []string{"p.>"}, Metadata: map[string]string{"weir.partitions": "3"}}
	b.make(parts, "p.", 20)
	b.server.Stop()
	second := b.directories()
	b.server.Run()
	b.reconnect()
	other := jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"o.*"}}
	b.make(other, "o.", 5)
	b.server.Stop()
	if len(first) != 1 || len(second) != 4 {
		t.Fatalf("directories %v, then %v", first, second)
	}
	b.spoil(first[0])
	second = slices.DeleteFunc(second, func(dir string) bool { return dir == first[0] })
	b.spoil(second[1])
	config := b.stream.CachedInfo().Config
	b.stream = nil
	b.server.Run()
	b.reconnect()
	if _, err := b.js.Stream(b.ctx, "S"); code(err) != 10194 {
		t.Errorf("the damaged stream: %v", err)
	}

	if err := b.js.DeleteStream(b.ctx, "S"); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := b.server.CLI(nil, "stream", "rm", "P", "--force"); status != 0 {
		t.Fatalf("weir stream rm: %d, %s%s", status, out, errs)
	}
	for _, name := range []string{"S", "P"} {
		if _, err := b.js.Stream(b.ctx, name); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("%s is deleted: %v", name, err)
		}
	}
	b.make(config, "s.", 2)
	b.make(parts, "p.", 2)
	for _, end := range []func(){b.server.Kill, func() { b.server.Stop() }} {
		end()
		b.server.Run()
		b.reconnect()
		for name, want := range map[string]uint64{"S": 2, "P": 2, "OTHER": 5} {
			s, err := b.js.Stream(b.ctx, name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := s.CachedInfo().State.Msgs; got != want {
				t.Errorf("%s has %d messages, not %d", name, got, want)
			}
		}
		if _, err := b.js.Consumer(b.ctx, "S", "c"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Errorf("the consumer of the deleted stream: %v", err)
		}
	}
	b.server.Stop()
	for _, dir := range append(second, first[0]) {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if status, out, errs := b.server.CLI(nil, "check", filepath.Join(b.server.Dir, "store")); status != 0 {
		t.Errorf("weir check: %d, %s%s", status, out, errs)
	}
}
