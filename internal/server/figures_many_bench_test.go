package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// What many streams, consumers and subjects cost. The defaults make a short run:
//
//	WEIR_FIGURE_STREAMS (1000)     streams that are there when others are created
//	WEIR_FIGURE_CONSUMERS (10000)  consumers, of ten streams
//	WEIR_FIGURE_SUBJECTS (1000000) subjects of one stream, a record each

// consumers makes durable consumers of the first ten streams in turn, with numbers
// from one up to another.
func (e *engine) consumers(from, to int) {
	e.b.Helper()
	for i := from; i < to; i++ {
		e.consumer(i%10, fmt.Sprintf("c%d", i))
	}
}

func (e *engine) consumer(stream int, name string) {
	e.ask(fmt.Sprintf("$JS.API.CONSUMER.CREATE.S%d.%s", stream, name),
		fmt.Appendf(nil, `{"stream_name":"S%d","config":{"durable_name":"%s","ack_policy":"explicit","filter_subject":"s.%d"}}`, stream, name, stream))
}

// has fails unless the engine has so many streams and consumers: requests that are
// refused would be measured otherwise.
func (e *engine) has(streams, consumers int) {
	e.b.Helper()
	n := 0
	all := e.node.streams.List("$G")
	for _, s := range all {
		n += len(s.Consumers())
	}
	if len(all) != streams || n != consumers {
		e.b.Fatalf("%d streams and %d consumers, want %d and %d", len(all), n, streams, consumers)
	}
}

// BenchmarkFigureMemoryOfConsumers is what a durable consumer takes: as long as it is
// idle, with a request that waits, and with a message that waits for its
// acknowledgement.
func BenchmarkFigureMemoryOfConsumers(b *testing.B) {
	n := int(figureSetting(b, "WEIR_FIGURE_CONSUMERS", 10_000))
	for b.Loop() {
		e := openEngine(b, b.TempDir())
		e.streams(10)
		before := heap()
		begin := time.Now()
		e.consumers(0, n)
		b.ReportMetric(float64(time.Since(begin).Microseconds())/float64(n), "create-µs")
		e.has(10, n)
		per := func() float64 { return float64(heap()-before) / float64(n) }
		b.ReportMetric(per(), "B/idle")
		answered := e.in.n.Load()
		for i := range n {
			e.pub.Publish(&broker.Message{
				Subject: fmt.Appendf(nil, "$JS.API.CONSUMER.MSG.NEXT.S%d.c%d", i%10, i),
				Reply:   []byte(e.sub.Subject), Data: []byte(`{"batch":2,"expires":600000000000}`),
			})
		}
		e.pub.HandOver()
		e.infos()
		b.ReportMetric(per(), "B/waiting")
		answered += 10
		e.flood(10, 128, 10)
		e.in.await(answered + 10 + int64(n))
		e.infos()
		b.ReportMetric(per(), "B/pending")
		e.stop()
	}
}

// infos asks a consumer of each stream how it is, which is answered once what was
// posted to their shards before is done.
func (e *engine) infos() {
	for i := range 10 {
		e.ask(fmt.Sprintf("$JS.API.CONSUMER.INFO.S%d.c%d", i, i), nil)
	}
}

// BenchmarkFigureMemoryOfSubjects is what a stream of many subjects takes, with a
// record of 16 bytes on each, before and after the checkpoint that writes their index.
func BenchmarkFigureMemoryOfSubjects(b *testing.B) {
	n := figureSetting(b, "WEIR_FIGURE_SUBJECTS", 1_000_000)
	for b.Loop() {
		e := openEngine(b, b.TempDir())
		e.ask("$JS.API.STREAM.CREATE.MANY", []byte(`{"name":"MANY","subjects":["m.>"],"storage":"file","max_msgs_per_subject":5}`))
		before := heap()
		begin := time.Now()
		data, reply := make([]byte, 16), []byte(e.sub.Subject)
		var subject []byte
		answered := e.in.n.Load()
		for i := range n {
			subject = fmt.Appendf(subject[:0], "m.%d.%d", i%1000, i)
			e.pub.Publish(&broker.Message{Subject: subject, Reply: reply, Data: data})
			if i%4096 == 4095 {
				e.pub.HandOver()
				e.in.await(answered + i + 1 - 1<<16)
			}
		}
		e.pub.HandOver()
		e.in.await(answered + n)
		b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "records/s")
		b.ReportMetric(float64(heap()-before)/float64(n), "B/subject")
		part := e.node.streams.Find("$G", "MANY").Partition()
		if err := part.Checkpoint(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/float64(n), "B/subject-saved")
		// The last of a subject, as a direct get and a conditional publish want it.
		var took []time.Duration
		for i := range int64(1000) {
			k := i * 7919 % n
			begin := time.Now()
			v, err := part.LastOf(fmt.Sprintf("m.%d.%d", k%1000, k))
			took = append(took, time.Since(begin))
			if err != nil || v.Seq != uint64(k+1) {
				b.Fatalf("last of subject %d: %d, %v", k, v.Seq, err)
			}
		}
		b.ReportMetric(quantile(took, .5), "last-p50-µs")
		e.stop()
	}
}

// BenchmarkFigureCreate is the latency of creating a stream and a consumer, with few
// of them there and with many, in turn with what the device takes to overwrite 4 KiB
// and sync them.
func BenchmarkFigureCreate(b *testing.B) {
	const few, rounds = 10, 300
	streams, consumers := int(figureSetting(b, "WEIR_FIGURE_STREAMS", 1000)), int(figureSetting(b, "WEIR_FIGURE_CONSUMERS", 10_000))
	for b.Loop() {
		e, d := openEngine(b, b.TempDir()), openDevice(b)
		e.streams(few)
		e.consumers(0, few)
		made := 0
		measure := func(kind string, create func(name string)) {
			var ours, floor []time.Duration
			for range rounds {
				floor = append(floor, d.write(4096))
				begin := time.Now()
				create(fmt.Sprintf("x%d", made))
				ours = append(ours, time.Since(begin))
				made++
			}
			b.ReportMetric(quantile(ours, .5), kind+"-p50-µs")
			b.ReportMetric(quantile(ours, .99), kind+"-p99-µs")
			b.ReportMetric(quantile(floor, .5), kind+"-device-µs")
		}
		stream := func(name string) {
			e.ask("$JS.API.STREAM.CREATE."+name, fmt.Appendf(nil, `{"name":"%s","subjects":["%s"],"storage":"file"}`, name, name))
		}
		consumer := func(name string) { e.consumer(0, name) }
		measure("stream-few", stream)
		measure("consumer-few", consumer)
		for i := few; i < streams; i++ {
			stream(fmt.Sprintf("S%d", i))
		}
		e.consumers(few, consumers)
		measure("stream-many", stream)
		measure("consumer-many", consumer)
		e.has(streams+2*rounds, consumers+2*rounds)
		e.stop()
	}
}
