package jetstream

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

const four = `"metadata":{"weir.partitions":"4"}`

// partitioned makes a stream of four partitions on o.>
func partitioned(t *testing.T) *rig {
	r := newRig(t)
	r.stream("O", "o.>", four)
	return r
}

func TestAMessageGoesToThePartitionOfItsKeyOrSubject(t *testing.T) {
	r := partitioned(t)
	of := func(by string) string { return fmt.Sprintf("O:%d", crc32.ChecksumIEEE([]byte(by))%4) }
	seen := map[string]bool{}
	for i := range 20 {
		subject, key := fmt.Sprintf("o.s%d", i), fmt.Sprintf("k%d", i%5)
		if a := r.publish(subject, "x"); a.Error != nil || a.Stream != of(subject) {
			t.Fatalf("%s: %+v, want %s", subject, a, of(subject))
		}
		if a := r.publish(subject, "x", "Weir-Key", key); a.Stream != of(key) {
			t.Fatalf("key %s: %+v, want %s", key, a, of(key))
		}
		seen[of(subject)] = true
	}
	if a := r.publish("o.a", "x", "Weir-Key-Base64", "AAE="); a.Stream != of("\x00\x01") {
		t.Fatalf("binary key: %+v, want %s", a, of("\x00\x01"))
	}
	if len(seen) != 4 {
		t.Fatal("not all partitions were used", seen)
	}
	r = r.restart()
	if a := r.ok("STREAM.INFO.O", ""); a.State.Messages != 41 {
		t.Fatalf("%+v", a.State)
	}
	if a := r.publish("o.s1", "x"); a.Stream != of("o.s1") {
		t.Fatal("after a restart:", a)
	}
}

func TestAStreamWithPartitionsIsDescribedAsAWholeAndInParts(t *testing.T) {
	r := partitioned(t)
	for i := range 10 {
		r.publish(fmt.Sprintf("o.%d", i), "x")
	}
	all := r.ok("STREAM.INFO.O", "")
	if c := string(all.Config); all.State.Messages != 10 || all.State.LastSeq != 0 || !strings.Contains(c, `"name":"O"`) ||
		strings.Contains(c, `"weir.partition"`) || strings.Contains(c, "weir.partition\"") {
		t.Fatalf("%+v %s", all.State, c)
	}
	var sum uint64
	for k := range 4 {
		part := r.ok(fmt.Sprintf("STREAM.INFO.O:%d", k), "")
		if c := string(part.Config); !strings.Contains(c, fmt.Sprintf(`"weir.partition":"%d"`, k)) {
			t.Fatal(c)
		}
		sum += part.State.Messages
	}
	if sum != 10 {
		t.Fatal(sum)
	}
	if a := r.ok("STREAM.NAMES", ""); fmt.Sprintf("%s", a.Streams) != `["O:0" "O:1" "O:2" "O:3"]` {
		t.Fatalf("%s", a.Streams)
	}
	for _, api := range []string{"STREAM.NAMES", "STREAM.LIST"} {
		a := r.ok(api, `{"subject":"o.1"}`)
		if len(a.Streams) != 1 || strings.Contains(string(a.Streams[0]), "O:0") {
			t.Errorf("%s by subject: %s", api, a.Streams)
		}
	}
}

func TestAConsumerIsOfOnePartition(t *testing.T) {
	r := partitioned(t)
	a := r.api("CONSUMER.DURABLE.CREATE.O.c", durableConfig("O", "c"))
	if a.Error == nil || a.Error.ErrCode != wire.CodeStreamNotFound || !strings.Contains(a.Error.Description, "O:0 to O:3") {
		t.Fatalf("%+v", a.Error)
	}
	p := r.publish("o.1", "x").Stream
	r.consumer(p, "c")
	r.wantFetch(p, "c", 1, "o.1=x")
}

func TestThePartitionExpectedIsTheStreamOrThePartition(t *testing.T) {
	r := partitioned(t)
	p := r.publish("o.1", "x").Stream
	for name, code := range map[string]int{"O": 0, p: 0, "O:": wire.CodeExpectedStreamMismatch, "P": wire.CodeExpectedStreamMismatch} {
		if a := r.publish("o.1", "x", "Nats-Expected-Stream", name); (a.Error == nil) != (code == 0) || code != 0 && a.Error.ErrCode != code {
			t.Errorf("expected stream %s: %+v", name, a.Error)
		}
	}
	for k := range 4 {
		if name := fmt.Sprintf("O:%d", k); name != p {
			r.denied(wire.CodeExpectedStreamMismatch, "o.1", "x", "Nats-Expected-Stream", name)
		}
	}
}

func TestTheNumberOfPartitionsNeverChanges(t *testing.T) {
	r := partitioned(t)
	for _, meta := range []string{`"metadata":{"weir.partitions":"5"}`, `"metadata":{}`, `"metadata":{"weir.partitions":"4","weir.partition":"0"}`} {
		r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.O", streamConfig("O", "o.>", meta))
	}
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.O:1", streamConfig("O:1", "o.>", `"metadata":{"weir.partitions":"4","weir.partition":"1"}`))
	r.stream("P", "p")
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.P", streamConfig("P", "p", four))
	r.refused(wire.CodeStreamNameExist, "STREAM.CREATE.O", streamConfig("O", "o.>"))
	r.refused(wire.CodeStreamNameExist, "STREAM.CREATE.P", streamConfig("P", "p", four))
	r.ok("STREAM.CREATE.O", streamConfig("O", "o.>", four))
	r.ok("STREAM.UPDATE.O", streamConfig("O", "o.> q", four, `"max_msgs":3`))
	for k := range 4 {
		if c := string(r.ok(fmt.Sprintf("STREAM.INFO.O:%d", k), "").Config); !strings.Contains(c, `"maxmsgs":3`) {
			t.Error(c)
		}
	}
	if a := r.publish("q", "x"); a.Error != nil || !strings.HasPrefix(a.Stream, "O:") {
		t.Fatalf("%+v", a)
	}
	r.refused(wire.CodeSubjectOverlap, "STREAM.UPDATE.O", streamConfig("O", "p", four))
	r.refused(wire.CodeSubjectOverlap, "STREAM.CREATE.Q", streamConfig("Q", "o.1"))
}

func TestPartitionsAreDeletedTogether(t *testing.T) {
	r := partitioned(t)
	r.refused(wire.CodeStreamDelete, "STREAM.DELETE.O:2", "")
	r.publish("o.1", "x")
	if a := r.ok("STREAM.PURGE.O", `{"filter":"o.1"}`); a.Purged != 1 {
		t.Fatal(a.Purged)
	}
	r.refused(wire.CodePurgeFailed, "STREAM.PURGE.O", `{"keep":1}`)
	r.ok("STREAM.DELETE.O", "")
	if a := r.ok("STREAM.NAMES", ""); len(a.Streams) != 0 {
		t.Fatalf("%s", a.Streams)
	}
	r.stream("N", "o.>")
}

func TestWhatNeedsOneLogHasNoPartitions(t *testing.T) {
	r := newRig(t)
	for _, more := range []string{
		`"metadata":{"weir.partitions":"0"}`, `"metadata":{"weir.partitions":"-1"}`, `"metadata":{"weir.partitions":"04"}`,
		`"metadata":{"weir.partitions":"1001"}`, `"metadata":{"weir.partitions":"many"}`, `"metadata":{"weir.partition":"0"}`,
		four + `,"allow_atomic":true`, four + `,"allow_msg_counter":true`, four + `,"allow_msg_schedules":true`,
		four + `,"sources":[{"name":"X"}]`,
	} {
		r.refused(wire.CodeStreamInvalidConfig, "STREAM.CREATE.O", streamConfig("O", "o", more))
	}
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.CREATE.O:1", streamConfig("O:1", "o", four))
	r.stream("O", "o", `"metadata":{"weir.partitions":"1"}`)
	if a := r.publish("o", "x"); a.Stream != "O" {
		t.Fatalf("%+v", a)
	}
}

func TestPartitionsCountAsStreamsOfTheAccount(t *testing.T) {
	limits := account.Unlimited(true)
	limits.MaxStreams, limits.MaxStorage = 5, 1000
	r := newRigFor(t, &account.Account{Name: "A", JetStream: limits})
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.CREATE.O", streamConfig("O", "o", four, `"max_bytes":300`))
	r.stream("O", "o", four, `"max_bytes":250`)
	r.refused(wire.CodeMaximumStreams, "STREAM.CREATE.Q", streamConfig("Q", "q", `"metadata":{"weir.partitions":"2"}`))
	r.stream("Q", "q")
}

func TestAFamilyThatWasNotFinishedIsRemoved(t *testing.T) {
	r := partitioned(t)
	if err := r.Streams.Drop(t.Context(), r.Streams.Find("A", "O:0")); err != nil {
		t.Fatal(err)
	}
	r = r.restart()
	streamtest.Await(t, "the partitions to be gone", func() bool { return r.Streams.Usage("A").Streams == 0 })
	r.stream("O", "o.>", four)
	var at []string
	for i := range 8 {
		at = append(at, r.publish(fmt.Sprintf("o.%d", i), "x").Stream)
	}
	slices.Sort(at)
	if len(slices.Compact(at)) < 3 {
		t.Fatal(at)
	}
}

func TestPartitionsComeBackFromTheirBackups(t *testing.T) {
	r := partitioned(t)
	for i := range 12 {
		r.publish(fmt.Sprintf("o.%d", i), "x")
	}
	var all []taken
	for k := range 4 {
		all = append(all, r.take(fmt.Sprintf("O:%d", k), ""))
	}
	r.ok("STREAM.DELETE.O", "")
	whole := streamConfig("O", "o.>", four)
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.RESTORE.O", `{"config":`+whole+`,"state":{}}`)
	for k, b := range all {
		if a := r.upload(fmt.Sprintf("O:%d", k), b.config, b.bytes, 1<<16); a.Error != nil {
			t.Fatalf("partition %d: %+v", k, *a.Error)
		}
	}
	if a := r.ok("STREAM.INFO.O", ""); a.State.Messages != 12 {
		t.Fatalf("%+v", a.State)
	}
	r = r.restart()
	seen := map[string]bool{}
	for i := range 12 {
		a := r.publish(fmt.Sprintf("o.%d", i), "x")
		seen[a.Stream] = a.Error == nil
	}
	if a := r.ok("STREAM.INFO.O", ""); a.State.Messages != 24 || len(seen) != 4 {
		t.Fatalf("%+v %v", a.State, seen)
	}
}

func TestDealingAllocatesNothing(t *testing.T) {
	m := &broker.Message{Subject: []byte("o.1"), Header: []byte("NATS/1.0\r\nA: b\r\nWeir-Key: k\r\n\r\n")}
	plain := &broker.Message{Subject: []byte("o.1")}
	if n := testing.AllocsPerRun(100, func() {
		Dialect{}.Deal(m, 4)
		Dialect{}.Deal(plain, 4)
	}); n != 0 {
		t.Fatal(n, "allocations")
	}
}

func TestStreamsOfPartitionsNameNothingElse(t *testing.T) {
	r := partitioned(t)
	r.refused(wire.CodeStreamNotFound, "STREAM.MSG.GET.O", `{"seq":1}`)
	r.refused(wire.CodeStreamNotFound, "CONSUMER.LIST.O", "")
	r.refused(wire.CodeStreamNotFound, "CONSUMER.INFO.O.c", "")
	r.refused(wire.CodeStreamNotFound, "STREAM.INFO.O", `{"subjects_filter":">"}`)
	r.refused(wire.CodeStreamNotFound, "STREAM.UPDATE.X", streamConfig("X", "x", four))
}
