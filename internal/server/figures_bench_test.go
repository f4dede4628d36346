package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/vfs"
)

// The engine's figures, each beside what the device or the engine itself does
// without the load in question, in the same run:
//
//	go test ./internal/server -run '^$' -bench Figure -benchtime 3s
//
// WEIR_FIGURE_GB (1) is how much the restart has to open, WEIR_FIGURE_RECORDS
// (5000000) how many records the memory is measured with.

// engine is a server without doors, and one that publishes in it.
type engine struct {
	*node
	b   *testing.B
	dir string
	pub *broker.Publisher
	in  *replies
	sub *broker.Subscription
}

// replies counts the answers that come.
type replies struct {
	n    atomic.Int64
	some chan struct{}
}

func (r *replies) OpenStage(*broker.Publisher) broker.Stage { return r }
func (r *replies) Add(*broker.Subscription, *broker.Message) broker.Verdict {
	r.n.Add(1)
	return broker.Staged
}

func (r *replies) HandOver() {
	select {
	case r.some <- struct{}{}:
	default:
	}
}

func (r *replies) await(n int64) {
	for r.n.Load() < n {
		<-r.some
	}
}

func openEngine(b *testing.B, dir string) *engine {
	b.Helper()
	c := defaultConfig()
	c.JetStream.StoreDir = dir
	c.settle()
	r, err := buildOn(vfs.OS{}, c, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	e := &engine{node: &node{nil, r, r.spaces.Get("$G")}, b: b, dir: dir}
	e.start(context.Background())
	e.pub, e.in, e.sub = e.publisher("_INBOX.figure")
	return e
}

// publisher gives one who publishes, and its answers, which come to an inbox.
func (e *engine) publisher(inbox string) (*broker.Publisher, *replies, *broker.Subscription) {
	in := &replies{some: make(chan struct{}, 1)}
	sub := &broker.Subscription{Subject: inbox, Kind: broker.KindClient, Sink: in}
	e.space.Subscribe(sub)
	return broker.NewPublisher(e.space, broker.PublisherOptions{Echo: true}), in, sub
}

func (e *engine) stop() {
	e.pub.Release()
	if err := e.close(context.Background()); err != nil {
		e.b.Fatal(err)
	}
}

// streams makes streams of one subject each, s.0 and so on.
func (e *engine) streams(n int) {
	for i := range n {
		e.ask(fmt.Sprintf("$JS.API.STREAM.CREATE.S%d", i), fmt.Appendf(nil, `{"name":"S%d","subjects":["s.%d"],"storage":"file"}`, i, i))
	}
}

func (e *engine) ask(subject string, data []byte) {
	want := e.in.n.Load() + 1
	e.pub.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(e.sub.Subject), Data: data})
	e.pub.HandOver()
	e.in.await(want)
}

// flood publishes n records of a size over some streams in turn, with so many bytes
// ahead of the acknowledgements.
func (e *engine) flood(n int64, size, streams int) {
	const turn, most = 256 << 10, 8 << 20
	data, reply := make([]byte, size), []byte(e.sub.Subject)
	subjects := make([][]byte, streams)
	for i := range subjects {
		subjects[i] = fmt.Appendf(nil, "s.%d", i)
	}
	perTurn, ahead := max(1, int64(turn/size)), max(2, int64(most/size))
	before := e.in.n.Load()
	for i := int64(0); i < n; i++ {
		e.pub.Publish(&broker.Message{Subject: subjects[i%int64(streams)], Reply: reply, Data: data})
		if (i+1)%perTurn == 0 {
			e.pub.HandOver()
			e.in.await(before + i + 1 - ahead)
		}
	}
	e.pub.HandOver()
	e.in.await(before + n)
}

// device is a file that is overwritten and synced in the way of the journal.
type device struct {
	b   *testing.B
	f   vfs.File
	buf []byte
	at  int64
}

const deviceSize = 64 << 20

func openDevice(b *testing.B) *device {
	b.Helper()
	o, name := vfs.OS{}, filepath.Join(b.TempDir(), "device")
	f, err := o.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	d := &device{b: b, f: f, buf: vfs.AlignedBuffer(1 << 20)}
	for range deviceSize / len(d.buf) {
		d.write(len(d.buf))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
	if d.f, err = o.OpenDirect(name, true); err != nil {
		b.Skipf("the floor needs direct writes: %v", err)
	}
	b.Cleanup(func() { _ = d.f.Close() })
	return d
}

func (d *device) write(n int) time.Duration {
	begin := time.Now()
	if _, err := d.f.WriteAt(d.buf[:n], d.at); err != nil {
		d.b.Fatal(err)
	}
	d.at = (d.at + int64(n)) % deviceSize
	return time.Since(begin)
}

// bandwidth is what the device takes in writes of 1 MiB with a sync each, in bytes
// a second.
func (d *device) bandwidth() float64 {
	const writes = 400
	var took time.Duration
	d.at = 0
	for range writes {
		took += d.write(len(d.buf))
	}
	return float64(writes*len(d.buf)) / took.Seconds()
}

func quantile(took []time.Duration, q float64) float64 {
	slices.Sort(took)
	return float64(took[int(float64(len(took)-1)*q)].Nanoseconds()) / 1000
}

// BenchmarkFigureAppendOne is one publisher that waits for each acknowledgement;
// in turn with it the device overwrites 4 KiB and syncs them.
func BenchmarkFigureAppendOne(b *testing.B) {
	e, d := openEngine(b, b.TempDir()), openDevice(b)
	defer e.stop()
	e.streams(1)
	data := make([]byte, 128)
	var ours, floor []time.Duration
	for b.Loop() {
		floor = append(floor, d.write(4096))
		begin := time.Now()
		e.ask("s.0", data)
		ours = append(ours, time.Since(begin))
	}
	b.ReportMetric(quantile(ours, .5), "p50-µs")
	b.ReportMetric(quantile(floor, .5), "device-p50-µs")
	b.ReportMetric(quantile(ours, .5)/quantile(floor, .5), "times-device")
}

// BenchmarkFigurePipelined is one publisher that does not wait, against what the
// device takes in 1 MiB writes with a sync each.
func BenchmarkFigurePipelined(b *testing.B) {
	for _, c := range []struct {
		size, streams int
	}{{256, 1}, {256, 1000}, {64 << 10, 1}, {1 << 20, 1}} {
		b.Run(fmt.Sprintf("size=%d,streams=%d", c.size, c.streams), func(b *testing.B) {
			e, d := openEngine(b, b.TempDir()), openDevice(b)
			defer e.stop()
			e.streams(c.streams)
			e.flood(int64(max(64<<20/c.size, 1)), c.size, c.streams)
			b.SetBytes(int64(c.size))
			b.ResetTimer()
			e.flood(int64(b.N), c.size, c.streams)
			b.StopTimer()
			rate := float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "records/s")
			b.ReportMetric(100*rate*float64(c.size)/d.bandwidth(), "%device")
		})
	}
}

// BenchmarkFigureReadFromStart reads records of 128 bytes from the first on, out of
// the page cache.
func BenchmarkFigureReadFromStart(b *testing.B) {
	const records = 2_000_000
	e := openEngine(b, b.TempDir())
	defer e.stop()
	e.streams(1)
	e.flood(records, 128, 1)
	part := e.node.streams.Find("$G", "S0").Partition()
	r := part.Reader(1)
	defer func() { r.Close() }()
	b.ReportAllocs()
	for b.Loop() {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			r.Close()
			r = part.Reader(1)
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkFigureLatencyBesideManyDirty is one publisher that waits, alone and then
// while 10,000 other streams get a record each second and one after the other of them
// is checkpointed, as many at a time as the server does it as long as that suffices.
func BenchmarkFigureLatencyBesideManyDirty(b *testing.B) {
	const others, rounds = 10_000, 4_000
	e := openEngine(b, b.TempDir())
	defer e.stop()
	e.streams(others + 1)
	data := make([]byte, 128)
	one := fmt.Sprintf("s.%d", others)
	measure := func() (took []time.Duration) {
		for range rounds {
			begin := time.Now()
			e.ask(one, data)
			took = append(took, time.Since(begin))
		}
		return took
	}
	for b.Loop() {
		quiet := measure()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.trickle(ctx, others)
		}()
		saved := e.saveOn(ctx)
		loud := measure()
		cancel()
		<-done
		b.ReportMetric(float64(<-saved), "checkpoints")
		b.ReportMetric(quantile(quiet, .99), "quiet-p99-µs")
		b.ReportMetric(quantile(loud, .99), "p99-µs")
		b.ReportMetric(quantile(loud, .99)/quantile(quiet, .99), "times-quiet")
	}
}

// saveOn takes checkpoints of all streams that have changed, again and again, until ctx
// ends, and then gives their number.
func (e *engine) saveOn(ctx context.Context) <-chan int {
	saved := make(chan int, 1)
	go func() {
		n := 0
		for ctx.Err() == nil {
			s := e.storage
			s.mu.Lock()
			var dirty []journal.GroupID
			for id, g := range s.groups {
				if !g.part.Clean() && len(dirty) < 100 {
					dirty = append(dirty, journal.GroupID(id))
				}
			}
			s.mu.Unlock()
			if len(dirty) == 0 {
				<-time.After(time.Millisecond)
			}
			s.checkpointMany(dirty, relievers(len(dirty), &journal.Pressure{Max: 1}), func(_ journal.GroupID, err error) { e.b.Error(err) })
			n += len(dirty)
		}
		saved <- n
	}()
	return saved
}

// trickle gives each of n streams a record a second until ctx ends.
func (e *engine) trickle(ctx context.Context, n int) {
	pub, in, sub := e.publisher("_INBOX.trickle")
	defer pub.Release()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	data, sent := make([]byte, 128), int64(0)
	for i := 0; ; {
		select {
		case <-ctx.Done():
			in.await(sent)
			return
		case <-t.C:
		}
		for range n / 100 {
			pub.Publish(&broker.Message{Subject: fmt.Appendf(nil, "s.%d", i%n), Reply: []byte(sub.Subject), Data: data})
			i++
			sent++
		}
		pub.HandOver()
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkFigureOpenStreams is the memory of 10,000 streams of one record each.
func BenchmarkFigureOpenStreams(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		e := openEngine(b, b.TempDir())
		before := heap()
		begin := time.Now()
		e.streams(n)
		b.ReportMetric(float64(time.Since(begin).Microseconds())/n, "create-µs")
		e.flood(n, 128, n)
		b.ReportMetric(float64(heap()-before)/n, "B/stream")
		e.stop()
	}
}

func figureSetting(b *testing.B, name string, otherwise int64) int64 {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return n
}

// BenchmarkFigureMemoryOfRecords is what memory grows by when a stream of a million
// records on a thousand subjects gets many times as many on the same.
func BenchmarkFigureMemoryOfRecords(b *testing.B) {
	records := figureSetting(b, "WEIR_FIGURE_RECORDS", 5_000_000)
	for b.Loop() {
		e := openEngine(b, b.TempDir())
		e.ask("$JS.API.STREAM.CREATE.MANY", []byte(`{"name":"MANY","subjects":["s.*"],"storage":"file"}`))
		e.flood(1_000_000, 128, 1000)
		first := heap()
		e.flood(records, 128, 1000)
		b.ReportMetric(float64(first)/(1<<20), "MiB-of-1M")
		b.ReportMetric(float64(heap())/(1<<20), "MiB-of-all")
		e.stop()
	}
}

// BenchmarkFigureRestart opens a thousand streams after a clean stop.
func BenchmarkFigureRestart(b *testing.B) {
	const streams, size = 1000, 4 << 10
	gb := figureSetting(b, "WEIR_FIGURE_GB", 1)
	dir := b.TempDir()
	e := openEngine(b, dir)
	e.streams(streams)
	e.flood(gb<<30/size, size, streams)
	e.stop()
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		e = openEngine(b, dir)
		took = append(took, time.Since(begin))
		b.StopTimer()
		e.stop()
		b.StartTimer()
	}
	b.ReportMetric(quantile(took, .5)/1e6, "s-to-open")
}
