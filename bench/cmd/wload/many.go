package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// What many streams, consumers and subjects cost: memory after a time of rest, and
// the latency of creating one more.

// memory is what a server's process has, in MiB.
type memory struct{ rss, peak float64 }

func (e *env) memory() (m memory) {
	if e.pid == 0 {
		check(fmt.Errorf("needs the server's pid"))
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.pid))
	check(err)
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			m.rss = kb / 1024
		case "VmHWM:":
			m.peak = kb / 1024
		}
	}
	return m
}

// rest lets the server stand idle, long enough for the Go runtime's collection that
// comes two minutes after the last one, and reports what it has then.
func (e *env) rest(r *result, before memory, made int64) {
	loaded := e.memory()
	// In steps: while this process is stopped, as a measurement next to it may ask, the
	// server is as well, which is no rest.
	const step = 100 * time.Millisecond
	for rested := time.Duration(0); rested < e.settle; rested += step {
		time.Sleep(step)
	}
	after := e.memory()
	r.RSS = round(after.rss)
	r.Extra["rss_before_mb"] = round(before.rss)
	r.Extra["rss_loaded_mb"] = round(loaded.rss)
	r.Extra["rss_peak_mb"] = round(after.peak)
	r.Extra["kb_each"] = round((after.rss - before.rss) * 1024 / float64(made))
	r.Extra["made"] = float64(made)
}

// apiMany sends API requests with 16 in flight until all are done or the
// time is over, and returns how many succeeded.
func (e *env) apiMany(total int64, limit time.Duration, subject func(i int64) string, body func(i int64) string) int64 {
	nc := e.connect()
	defer nc.Close()
	var mu sync.Mutex
	var next, ok int64
	var failed error // the first
	end := time.Now().Add(limit)
	var wg sync.WaitGroup
	for w := 0; w < 16; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= total || time.Now().After(end) {
					return
				}
				_, err := ask(nc, subject(i), body(i))
				mu.Lock()
				if err == nil {
					ok++
				} else {
					next = total
					if failed == nil {
						failed = err
					}
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	check(failed)
	return ok
}

// patience is how long an answer is waited for: a peer may take long, and a measurement
// next to this one may have both stand still.
const patience = 5 * time.Minute

func (e *env) connect() *nats.Conn {
	nc, err := nats.Connect(e.url, nats.Timeout(patience))
	check(err)
	return nc
}

// ask sends one API request; an answer that is an error is one.
func ask(nc *nats.Conn, subject, body string) ([]byte, error) {
	m, err := nc.Request(subject, []byte(body), patience)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", subject, err)
	}
	if bytes.Contains(m.Data, jsErr) {
		return nil, fmt.Errorf("%s: %s", subject, m.Data)
	}
	return m.Data, nil
}

func streamName(i int64) string    { return fmt.Sprintf("R%d", i) }
func streamCreate(n string) string { return "$JS.API.STREAM.CREATE." + n }
func streamConfig(n string) string {
	return fmt.Sprintf(`{"name":"%s","subjects":["r.%s.>"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"storage":"file","num_replicas":1,"discard":"old"}`, n, n)
}
func durableCreate(s, n string) string { return "$JS.API.CONSUMER.DURABLE.CREATE." + s + "." + n }
func durableConfig(s, n string) string {
	return fmt.Sprintf(`{"stream_name":"%s","config":{"durable_name":"%s","deliver_policy":"all","ack_policy":"explicit","replay_policy":"instant"}}`, s, n)
}

func (e *env) makeStreams(n int64) int64 {
	return e.apiMany(n, e.limit,
		func(i int64) string { return streamCreate(streamName(i)) },
		func(i int64) string { return streamConfig(streamName(i)) })
}

// makeConsumers makes so many durable consumers, per of each stream.
func (e *env) makeConsumers(per, total int64, stream func(i int64) string) int64 {
	name := func(i int64) string { return fmt.Sprintf("D%d", i%per) }
	return e.apiMany(total, e.limit,
		func(i int64) string { return durableCreate(stream(i/per), name(i)) },
		func(i int64) string { return durableConfig(stream(i/per), name(i)) })
}

// has fails unless the server says that it has so many.
func (e *env) has(streams, consumers int64) {
	nc := e.connect()
	defer nc.Close()
	b, err := ask(nc, "$JS.API.INFO", "")
	check(err)
	var info struct{ Streams, Consumers int64 }
	check(json.Unmarshal(b, &info))
	if info.Streams != streams || info.Consumers != consumers {
		check(fmt.Errorf("the server has %d streams and %d consumers, want %d and %d", info.Streams, info.Consumers, streams, consumers))
	}
}

// rssStreams: memory of the server with many streams that have one subject each.
func rssStreams(e *env) *result {
	before := e.memory()
	e.begin()
	start := time.Now()
	n := e.makeStreams(e.streams)
	r := e.end(n, 0, time.Since(start).Seconds(), nil)
	e.has(n, 0)
	e.rest(r, before, n)
	return r
}

// perStream is how many consumers a stream gets: nats-server 2.15 refuses more than
// 1,000 of a stream that does not say how many it may have.
const perStream = 500

// rssConsumers: memory of the server with many durable consumers.
func rssConsumers(e *env) *result {
	streams := e.makeStreams((e.consumers + perStream - 1) / perStream)
	before := e.memory()
	e.begin()
	start := time.Now()
	n := e.makeConsumers(perStream, min(e.consumers, streams*perStream), streamName)
	r := e.end(n, 0, time.Since(start).Seconds(), nil)
	e.has(streams, n)
	e.rest(r, before, n)
	return r
}

// rssSubjects: memory of the server with a stream of many subjects, one message of
// 16 bytes on each, and the latency of reading the last message of one.
func rssSubjects(e *env) *result {
	const window, turn = 4000, 250_000
	nc := e.connect()
	defer nc.Close()
	_, err := ask(nc, "$JS.API.STREAM.CREATE.MANY", `{"name":"MANY","subjects":["m.>"],"retention":"limits","storage":"file","num_replicas":1,"max_msgs_per_subject":5,"allow_direct":true}`)
	check(err)
	before := e.memory()
	e.begin()
	start := time.Now()
	subject := func(i int64) string { return fmt.Sprintf("m.%d.%d", i%1000, i) }
	var n int64
	for n < e.subjects && time.Since(start) < e.limit {
		first := n
		q := newRequester(e.url, window, 16, func(i int64) string { return subject(first + i) })
		q.max = min(turn, e.subjects-n)
		k, _, _, err := runRequesters([]*requester{q}, e.limit)
		check(err)
		n += k
	}
	r := e.end(n, 16*n, time.Since(start).Seconds(), nil)
	b, err := ask(nc, "$JS.API.STREAM.INFO.MANY", "")
	check(err)
	var info struct {
		State struct {
			Messages int64
			Subjects int64 `json:"num_subjects"`
		}
	}
	check(json.Unmarshal(b, &info))
	if info.State.Messages != n || info.State.Subjects != n {
		check(fmt.Errorf("%d messages on %d subjects, want %d", info.State.Messages, info.State.Subjects, n))
	}
	e.rest(r, before, n)
	r.Extra["b_each"] = round((r.RSS - before.rss) * (1 << 20) / float64(n))
	var k int64
	took := e.timed(1000, func() {
		s := subject(k * 7919 % n)
		k++
		m, err := nc.Request("$JS.API.DIRECT.GET.MANY."+s, nil, patience)
		check(err)
		if m.Header.Get("Nats-Subject") != s {
			check(fmt.Errorf("direct get of %s gave %q", s, m.Header))
		}
	})
	r.quantiles("last", took)
	return r
}

// timed calls f so often and returns how long each took, in order of length.
func (e *env) timed(rounds int, f func()) []time.Duration {
	took := make([]time.Duration, rounds)
	for i := range took {
		t := time.Now()
		f()
		took[i] = time.Since(t)
	}
	slices.Sort(took)
	return took
}

func (r *result) quantiles(name string, sorted []time.Duration) {
	for _, q := range []struct {
		name string
		p    float64
	}{{"p50", .5}, {"p99", .99}} {
		d := sorted[min(len(sorted)-1, int(q.p*float64(len(sorted))))]
		r.Extra[name+"_"+q.name+"_us"] = round(float64(d) / 1e3)
	}
}

// create: the latency of creating a stream and a consumer, one after the other, with
// ten of each there and with many.
func create(e *env) *result {
	const few, rounds = 10, 300
	nc := e.connect()
	defer nc.Close()
	var x int64
	next := func() string { x++; return fmt.Sprintf("X%d", x) }
	newStream := func() {
		n := next()
		_, err := ask(nc, streamCreate(n), streamConfig(n))
		check(err)
	}
	newConsumer := func() {
		n, s := next(), streamName(x%few)
		_, err := ask(nc, durableCreate(s, n), durableConfig(s, n))
		check(err)
	}
	r := &result{Extra: map[string]float64{}}
	measure := func(kind string) {
		r.quantiles("stream_"+kind, e.timed(rounds, newStream))
		r.quantiles("consumer_"+kind, e.timed(rounds, newConsumer))
	}
	fill := func(n int64) (int64, int64) {
		return e.makeStreams(n), e.makeConsumers(perStream, n, streamName)
	}
	fill(few)
	measure("few")
	s, c := fill(e.streams)
	e.has(s+rounds, c+rounds)
	e.begin()
	start := time.Now()
	measure("many")
	m := e.end(2*rounds, 0, time.Since(start).Seconds(), nil)
	m.Extra = r.Extra
	m.Extra["streams"], m.Extra["consumers"] = float64(s), float64(c)
	return m
}
