package oracle_test

import (
	"fmt"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/jsm.go/balancer"
	"github.com/nats-io/jsm.go/monitor"
	"github.com/nats-io/nats.go"
)

func init() { tours["monitoring"] = tourMonitoring }

// health is what a check has found. Its figures of time and of bytes are each
// server's own.
type health struct {
	OKs       []string
	Warnings  []string
	Criticals []string
	Figures   map[string]bool
}

func healthOf(r *monitor.Result) health {
	h := health{r.OKs, r.Warnings, r.Criticals, map[string]bool{}}
	for _, p := range r.PerfData {
		name := p.Name
		switch p.Name {
		case "age", "last_age", "active", "connect_time", "rtt", "request_time", "time", "bytes", "memory", "storage", "memory_pct", "storage_pct", "ack_age", "delivery_age", "last_delivery", "last_ack":
		default:
			name += fmt.Sprint("=", p.Value)
		}
		h.Figures[name] = true
	}
	return h
}

// quiet is the library's logger.
type quiet struct{}

func (quiet) Tracef(string, ...any) {}
func (quiet) Debugf(string, ...any) {}
func (quiet) Infof(string, ...any)  {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func checkStream(m *jsm.Manager, o monitor.CheckStreamHealthOptions) (health, error) {
	var r monitor.Result
	err := monitor.CheckStreamHealthWithConnection(m, &r, o, quiet{})
	return healthOf(&r), err
}

func checkConsumer(m *jsm.Manager, o monitor.CheckConsumerHealthOptions) (health, error) {
	var r monitor.Result
	err := monitor.CheckConsumerHealthWithConnection(m, &r, o, quiet{})
	return healthOf(&r), err
}

func checkAccount(m *jsm.Manager, o monitor.CheckJetStreamAccountOptions) (health, error) {
	var r monitor.Result
	err := monitor.CheckJetStreamAccountWithConnection(m, &r, o)
	return healthOf(&r), err
}

func checkMessage(m *jsm.Manager, o monitor.CheckStreamMessageOptions) (health, error) {
	var r monitor.Result
	err := monitor.CheckStreamMessageWithConnection(m, &r, o)
	return healthOf(&r), err
}

func checkBucket(nc *nats.Conn, o monitor.CheckKVBucketAndKeyOptions) (health, error) {
	var r monitor.Result
	err := monitor.CheckKVBucketAndKeyWithConnection(nc, &r, o)
	return healthOf(&r), err
}

// bucket makes one with a key.
func bucket(nc *nats.Conn) error {
	js, err := nc.JetStream()
	if err != nil {
		return err
	}
	kv, err := js.CreateKeyValue(&nats.KeyValueConfig{Bucket: "B"})
	if err != nil {
		return err
	}
	_, err = kv.PutString("k", "v")
	return err
}

// balance has the balancer even out what a server without peers has.
func balance(nc *nats.Conn, m *jsm.Manager) (int, error) {
	b, err := balancer.New(nc, quiet{})
	if err != nil {
		return 0, err
	}
	streams, _, _, err := m.Streams(nil)
	if err != nil {
		return 0, err
	}
	return b.BalanceStreams(streams)
}

func tourMonitoring(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	t.call((*jsm.Manager).NewStream, m, "MIRROR", jsm.Mirror(&api.StreamSource{Name: "S"}), jsm.FileStorage())
	t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("c"))
	t.publish("s.1", "one", "two", "three")
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 2}, 2)
	for _, e := range []*end{t.weir, t.ref} {
		e.settled(t, "MIRROR", 3)
	}
	for _, o := range []monitor.CheckStreamHealthOptions{
		{StreamName: "S", MessagesWarn: 5, MessagesCrit: 2}, {StreamName: "S", SubjectsWarn: 1, SubjectsCrit: 2}, {StreamName: "none"},
		{StreamName: "MIRROR", SourcesLagCritical: 1, SourcesSeenCritical: 5, MinSources: 1, MaxSources: 1},
		{StreamName: "S", ClusterExpectedPeers: 3, ClusterLagCritical: 1},
	} {
		t.call(checkStream, m, o)
	}
	for _, o := range []monitor.CheckConsumerHealthOptions{
		{StreamName: "S", ConsumerName: "c", AckOutstandingCritical: 1}, {StreamName: "S", ConsumerName: "c", UnprocessedCritical: 1},
		{StreamName: "S", ConsumerName: "c", WaitingCritical: 1, LastAckCritical: 1, LastDeliveryCritical: 100, RedeliveryCritical: 1},
		{StreamName: "S", ConsumerName: "none"},
	} {
		t.call(checkConsumer, m, o)
	}
	t.call(checkAccount, m, monitor.CheckJetStreamAccountOptions{StreamWarning: 1, StreamCritical: 3, ConsumersWarning: -1, ConsumersCritical: -1, MemoryWarning: -1, MemoryCritical: -1, FileWarning: -1, FileCritical: -1})
	for _, o := range []monitor.CheckStreamMessageOptions{
		{StreamName: "S", Subject: "s.1", AgeWarning: 100, AgeCritical: 200, Content: "thr.*"}, {StreamName: "S", Subject: "s.1", Content: "none"}, {StreamName: "S", Subject: "none"},
	} {
		_, _ = t.try(checkMessage, []any{m, o})
	}
	t.call(bucket, t.conns())
	for _, o := range []monitor.CheckKVBucketAndKeyOptions{{Bucket: "B", Key: "k", ValuesCritical: -1, ValuesWarning: -1}, {Bucket: "B", Key: "none", ValuesCritical: -1, ValuesWarning: -1}, {Bucket: "none"}} {
		t.call(checkBucket, t.conns(), o)
	}
	_, _ = t.try(balance, []any{t.conns(), m})
}

// settled waits until a stream has n messages.
func (e *end) settled(t *tour, name string, n int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		got, err := e.request("$JS.API.STREAM.INFO."+name, "", "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if field(e.tree(got[0], false), "state.messages") == fmt.Sprint(n) && field(e.tree(got[0], false), "mirror.active") == "<ns>" {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("%s: %s never had %d messages", e.name, name, n)
}
