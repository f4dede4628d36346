package jetstream

import (
	"fmt"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/account"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// atOnce sends n requests at the same time and returns how many succeeded; the others
// must be refused with an error.
func (r *rig) atOnce(n, code int, request func(i int) (subject, body string)) int {
	r.t.Helper()
	var wg sync.WaitGroup
	answers := make([]answer, n)
	for i := range n {
		subject, body := request(i)
		wg.Go(func() { answers[i] = r.api(subject, body) })
	}
	wg.Wait()
	ok := 0
	for _, a := range answers {
		switch {
		case a.Error == nil:
			ok++
		case a.Error.ErrCode != code:
			r.t.Errorf("error %+v, want %d", *a.Error, code)
		}
	}
	return ok
}

func bounded(t *testing.T, streams, consumers int) *rig {
	limits := account.Unlimited(true)
	limits.MaxStreams, limits.MaxConsumers = streams, consumers
	return newRigFor(t, &account.Account{Name: "A", JetStream: limits})
}

func TestStreamsCreatedAtOnceStayWithinTheAccountsLimit(t *testing.T) {
	const limit = 7
	r := bounded(t, limit, -1)
	ok := r.atOnce(40, wire.CodeMaximumStreams, func(i int) (string, string) {
		name := fmt.Sprintf("S%d", i)
		more := []string{}
		if i%5 == 0 {
			more = append(more, `"metadata":{"weir.partitions":"2"}`)
		}
		return "STREAM.CREATE." + name, streamConfig(name, name, more...)
	})
	if n := r.Streams.Usage("A").Streams; n != limit || ok > limit {
		t.Fatalf("%d streams where %d may be, %d creations succeeded", n, limit, ok)
	}
}

func TestStreamsCreatedAtOnceArePromisedNoMoreThanTheAccountHas(t *testing.T) {
	r := limitedTo(t, func(l *account.JetStream) { l.MaxStorage = 1000 })
	ok := r.atOnce(40, wire.CodeStorageResourcesExceeded, func(i int) (string, string) {
		name := fmt.Sprintf("S%d", i)
		return "STREAM.CREATE." + name, streamConfig(name, name, `"max_bytes":300`)
	})
	if n := r.Streams.Usage("A").Streams; n != 3 || ok != 3 {
		t.Fatalf("%d streams of 300 bytes where 1000 may be, %d creations succeeded", n, ok)
	}
	names := []string{}
	for _, s := range r.Streams.List("A") {
		names = append(names, s.Name())
	}
	if ok := r.atOnce(len(names), wire.CodeStorageResourcesExceeded, func(i int) (string, string) {
		return "STREAM.UPDATE." + names[i], streamConfig(names[i], names[i], `"max_bytes":400`)
	}); ok != 1 {
		t.Fatalf("%d streams were given 100 bytes more where 100 are left", ok)
	}
}

func TestEqualCreationsAtOnceTakeOnePlace(t *testing.T) {
	r := bounded(t, 1, 1)
	if ok := r.atOnce(20, 0, func(int) (string, string) { return "STREAM.CREATE.S", streamConfig("S", "s.>") }); ok != 20 {
		t.Fatalf("%d of 20 equal creations of a stream succeeded", ok)
	}
	if ok := r.atOnce(20, 0, func(int) (string, string) {
		return "CONSUMER.DURABLE.CREATE.S.c", durableConfig("S", "c")
	}); ok != 20 {
		t.Fatalf("%d of 20 equal creations of a consumer succeeded", ok)
	}
}

func TestConsumersCreatedAtOnceStayWithinTheAccountsLimit(t *testing.T) {
	const limit, streams = 7, 4
	r := bounded(t, -1, limit)
	for i := range streams {
		r.stream(fmt.Sprintf("S%d", i), fmt.Sprintf("s%d", i))
	}
	ok := r.atOnce(40, wire.CodeMaximumConsumers, func(i int) (string, string) {
		stream, name := fmt.Sprintf("S%d", i%streams), fmt.Sprintf("c%d", i)
		return "CONSUMER.DURABLE.CREATE." + stream + "." + name, durableConfig(stream, name)
	})
	if n := r.Streams.Usage("A").Consumers; n != limit || ok != limit {
		t.Fatalf("%d consumers where %d may be, %d creations succeeded", n, limit, ok)
	}
}

func TestStreamInfoCountsTheConsumersThatAreThere(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	count := func(want uint64) {
		t.Helper()
		if n := r.ok("STREAM.INFO.S", "").State.ConsumerCount; n != want || len(r.Streams.Find("A", "S").Consumers()) != int(want) {
			t.Fatalf("%d consumers, want %d", n, want)
		}
	}
	for i, name := range []string{"a", "b", "c"} {
		r.consumer("S", name)
		count(uint64(i + 1))
	}
	r.consumer("S", "b") // is there
	count(3)
	r.ok("CONSUMER.DELETE.S.b", "")
	count(2)
	r = r.restart()
	count(2)
}
