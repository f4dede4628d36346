package jetstream

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// TestADeliveryLeavesLittleMemoryToItsConsumer: what was read for a delivery is not
// kept by each consumer, of which there may be a hundred thousand.
func TestADeliveryLeavesLittleMemoryToItsConsumer(t *testing.T) {
	const n, most = 400, 8 << 10
	r := newRig(t)
	r.stream("S", "s")
	for i := range n {
		r.consumer("S", fmt.Sprint("c", i))
	}
	in := streamtest.Subscribe(t, r.space, "_INBOX.many.*")
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before := heap()
	for i := range n {
		r.space.Publish(&broker.Message{
			Subject: fmt.Appendf(nil, "$JS.API.CONSUMER.MSG.NEXT.S.c%d", i), Reply: fmt.Appendf(nil, "_INBOX.many.%d", i),
			Data: []byte(`{"batch":2,"expires":60000000000}`),
		})
	}
	r.stored(1, "s", "x")
	for range n {
		in.Next(t)
	}
	if after := heap(); after > before && (after-before)/n > most {
		t.Errorf("a consumer takes %d bytes more once it has delivered", (after-before)/n)
	}
}
