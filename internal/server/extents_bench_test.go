package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs"
)

// BenchmarkLargeMessages publishes large messages asynchronously to a stream on disk,
// with extents and without: how many bytes a second, and how often each is written.
// The directory is below TMPDIR, which must be on a disk.
//
//	go test ./internal/server -run '^$' -bench LargeMessages -benchtime 2000x
func BenchmarkLargeMessages(b *testing.B) {
	for _, size := range []int{128 << 10, 256 << 10, 512 << 10, 1 << 20, 4 << 20} {
		for name, from := range map[string]int64{"extents": 64 << 10, "journal": -1} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) { publishLarge(b, size, from) })
		}
	}
}

// flying is how many bytes wait for their acknowledgement at most.
const flying = 16 << 20

func publishLarge(b *testing.B, size int, from int64) {
	c := defaultConfig()
	c.JetStream.StoreDir = b.TempDir()
	c.JetStream.ExtentFrom = from
	c.settle()
	r, err := buildOn(vfs.OS{}, c, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	r.start(context.Background())
	space := r.spaces.Get("$G")
	in := &inbox{c: make(chan []byte, 4096)}
	space.Subscribe(&broker.Subscription{Subject: "_INBOX.bench", Kind: broker.KindClient, Sink: in})
	reply := []byte("_INBOX.bench")
	space.Publish(&broker.Message{Subject: []byte("$JS.API.STREAM.CREATE.L"), Reply: reply, Data: []byte(`{"name":"L","subjects":["l"],"max_bytes":1073741824}`)})
	<-in.c
	m := &broker.Message{Subject: []byte("l"), Reply: reply, Data: make([]byte, size)}
	window := max(1, flying/size)
	before := writtenBytes(b)
	b.SetBytes(int64(size))
	waiting := 0
	for b.Loop() {
		if waiting == window {
			<-in.c
			waiting--
		}
		space.Publish(m)
		waiting++
	}
	for ; waiting > 0; waiting-- {
		<-in.c
	}
	b.StopTimer()
	if err := r.close(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(writtenBytes(b)-before)/float64(b.N)/float64(size), "written/byte")
	b.ReportMetric(0, "ns/op")
}

// writtenBytes is how many bytes this process caused to be written to disks.
func writtenBytes(b *testing.B) (n uint64) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip("no /proc/self/io here")
	}
	var name string
	for rest := string(text); rest != ""; {
		var v uint64
		line := rest
		for i := range rest {
			if rest[i] == '\n' {
				line, rest = rest[:i], rest[i+1:]
				break
			}
		}
		if _, err := fmt.Sscanf(line, "%s %d", &name, &v); err == nil && name == "write_bytes:" {
			n = v
		}
	}
	return n
}
