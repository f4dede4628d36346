package jetstream

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// limitedTo makes a rig whose account has limits.
func limitedTo(t *testing.T, limit func(*account.JetStream)) *rig {
	l := account.Unlimited(true)
	limit(&l)
	return newRigFor(t, &account.Account{Name: "A", JetStream: l})
}

func (r *rig) update(name, subjects string, more ...string) {
	r.t.Helper()
	r.ok("STREAM.UPDATE."+name, streamConfig(name, subjects, more...))
}

func TestStreamsArePromisedNoMoreThanTheAccountHas(t *testing.T) {
	r := limitedTo(t, func(l *account.JetStream) { l.MaxStorage, l.MaxMemory = 1000, 500 })
	r.stream("S", "s", `"max_bytes":600`)
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.CREATE.T", streamConfig("T", "t", `"max_bytes":401`))
	r.stream("T", "t", `"max_bytes":400`)
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.UPDATE.S", streamConfig("S", "s", `"max_bytes":601`))
	r.update("S", "s", `"max_bytes":500`)
	r.update("S", "s", `"max_bytes":600`)
	r.stream("M", "m", `"max_bytes":300`, `"storage":"memory"`)
	r.refused(wire.CodeMemoryResourcesExceeded, "STREAM.CREATE.N", streamConfig("N", "n", `"max_bytes":201`, `"storage":"memory"`))
	m := streamtest.Request(t, r.space, "$JS.API.INFO", nil, nil)
	for _, want := range []string{`"reserved_storage":1000`, `"reserved_memory":300`} {
		if !strings.Contains(string(m.Data), want) {
			t.Errorf("%s is not in %s", want, m.Data)
		}
	}
	r.ok("STREAM.DELETE.T", "")
	r.stream("N", "n", `"max_bytes":400`)
}

func TestPartitionsArePromisedTheirBytesTogether(t *testing.T) {
	r := limitedTo(t, func(l *account.JetStream) { l.MaxStorage = 1000 })
	r.stream("O", "o", four, `"max_bytes":200`)
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.CREATE.P", streamConfig("P", "p", `"max_bytes":201`))
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.UPDATE.O", streamConfig("O", "o", four, `"max_bytes":251`))
	r.update("O", "o", four, `"max_bytes":250`)
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.CREATE.P", streamConfig("P", "p", `"max_bytes":1`))
}

func TestStreamsThatWereGivenMoreThanTheAccountHasMayShrink(t *testing.T) {
	a := &account.Account{Name: "A", JetStream: account.Unlimited(true)}
	r := newRigFor(t, a)
	r.stream("S", "s", `"max_bytes":600`)
	a.JetStream.MaxStorage = 100
	r.update("S", "s", `"max_bytes":500`)
	r.refused(wire.CodeStorageResourcesExceeded, "STREAM.UPDATE.S", streamConfig("S", "s", `"max_bytes":501`))
	r.update("S", "s")
}

func TestWhatIsReservedNeverPassesTheLargestNumber(t *testing.T) {
	r := limitedTo(t, func(*account.JetStream) {})
	r.stream("S", "s", `"max_bytes":9223372036854775807`)
	r.stream("T", "t", `"max_bytes":9223372036854775807`)
	r.stream("U", "u", `"max_bytes":10`)
	m := streamtest.Request(t, r.space, "$JS.API.INFO", nil, nil)
	if want := `"reserved_storage":9223372036854775807`; !strings.Contains(string(m.Data), want) {
		t.Errorf("%s is not in %s", want, m.Data)
	}
}

func TestTheAccountMayAskForMaxBytes(t *testing.T) {
	r := limitedTo(t, func(l *account.JetStream) {
		l.NeedsMaxBytes, l.MaxMemoryStream, l.MaxStorageStream = true, 200, 400
	})
	r.refused(wire.CodeMaxBytesRequired, "STREAM.CREATE.S", streamConfig("S", "s"))
	r.refused(wire.CodeMaxStreamBytesExceeded, "STREAM.CREATE.S", streamConfig("S", "s", `"max_bytes":401`))
	r.refused(wire.CodeMaxStreamBytesExceeded, "STREAM.CREATE.S", streamConfig("S", "s", `"max_bytes":201`, `"storage":"memory"`))
	r.stream("S", "s", `"max_bytes":400`)
	r.refused(wire.CodeMaxStreamBytesExceeded, "STREAM.UPDATE.S", streamConfig("S", "s", `"max_bytes":401`))
	r.refused(wire.CodeMaxBytesRequired, "STREAM.UPDATE.S", streamConfig("S", "s"))
}

func TestTheAccountBoundsWhatConsumersLeaveUnacknowledged(t *testing.T) {
	r := limitedTo(t, func(l *account.JetStream) { l.MaxAckPending = 7 })
	r.stream("S", "s")
	if a := r.consumer("S", "c"); !strings.Contains(string(a.Config), `"maxackpending":7`) {
		t.Errorf("the default is another: %s", a.Config)
	}
	r.refused(wire.CodeMaxAckPendingExcess, "CONSUMER.DURABLE.CREATE.S.d", durableConfig("S", "d", `"max_ack_pending":8`))
	m := streamtest.Request(t, r.space, "$JS.API.INFO", nil, nil)
	if want := `"max_ack_pending":7`; !strings.Contains(string(m.Data), want) {
		t.Errorf("%s is not in %s", want, m.Data)
	}
}
