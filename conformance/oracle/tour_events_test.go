package oracle_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/jsm.go/registry"
	"github.com/nats-io/nats.go"
)

func init() { tours["events"] = tourEvents }

// event is one that the library has read.
type event struct {
	Subject string `json:"subject"`
	Kind    string `json:"kind"`
	Body    any    `json:"body"`
}

// take reads events until one on a subject that ends so has come, and a moment of
// silence then. They are given by subject: their order is left to chance.
func take(e *end, sub *nats.Subscription, last string) (map[string][]any, error) {
	out := map[string][]any{}
	seen, deadline := false, time.Now().Add(patience)
	for {
		m, err := sub.NextMsg(silence)
		if err != nil && !seen && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			for _, list := range out {
				slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(encode(a), encode(b)) })
			}
			return out, nil
		}
		seen = seen || strings.HasSuffix(m.Subject, last)
		kind, v, err := jsm.ParseEvent(m.Data)
		if err != nil {
			return nil, err
		}
		if _, _, err := registry.ParseAndValidateMessage(m.Data, schemaValidator{}); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Subject, err)
		}
		if kind == "io.nats.unknown_message" {
			return nil, fmt.Errorf("%s: jsm.go does not know %s", m.Subject, m.Data)
		}
		if ev, ok := v.(registry.Event); ok {
			for _, format := range []registry.RenderFormat{registry.TextCompactFormat, registry.TextExtendedFormat} {
				if err := registry.RenderEvent(&bytes.Buffer{}, ev, format); err != nil {
					return nil, fmt.Errorf("render %s: %w", m.Subject, err)
				}
			}
		}
		out[m.Subject] = append(out[m.Subject], e.decoded(event{m.Subject, kind, v}))
	}
}

func tourEvents(t *tour) {
	subs := t.call((*nats.Conn).SubscribeSync, t.conns(), "$JS.EVENT.>")
	told := func(last string) {
		t.Helper()
		t.call(take, each(func(e *end) any { return e }), subs, last)
	}
	m, ctx := t.manager, context.Background()
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	t.call((*jsm.Stream).UpdateConfiguration, s, each(func(e *end) any { return pick(s, e).Configuration() }), jsm.StreamDescription("new"), jsm.AllowAtomicBatchPublish())
	t.call((*jsm.Manager).JetStreamAccountInfo, m)
	t.fails((*jsm.Manager).LoadStream, m, "none")
	t.call((*jsm.Stream).AdvisorySubject, s)
	t.call((*jsm.Stream).MetricSubject, s)
	told(".UPDATED.S")
	c := t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("c"), jsm.SamplePercent(100), jsm.MaxDeliveryAttempts(2), jsm.AckWait(time.Hour))
	t.call((*jsm.Consumer).Pause, c, time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC))
	t.call((*jsm.Consumer).Resume, c)
	t.call((*jsm.Consumer).UpdateConfiguration, c, jsm.ConsumerDescription("new"))
	told(".CONSUMER.PAUSE.S.c")
	t.publish("s.1", "one", "two", "three")
	old := t.call(jsm.New, t.as(nats.UseOldRequestStyle()), jsm.WithTrace())
	for _, how := range []string{"+ACK", "-NAK", "-NAK", "+TERM enough"} {
		t.call(settle, t.call((*jsm.Manager).NextMsg, old, "S", "c"), t.conns(), how)
	}
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 1, NoWait: true}, 1)
	told(".MAX_DELIVERIES.S.c")
	p := t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("p"), jsm.PinnedClientPriorityGroups(time.Hour, "g"))
	t.ask("p", api.JSApiConsumerGetNextRequest{Batch: 1, Group: "g"}, 1)
	t.call((*jsm.Consumer).Unpin, p, "g")
	t.call((*jsm.Consumer).Delete, p)
	told(".DELETED.S.p")
	for seq, commit := range []string{"", "", "1"} {
		h := nats.Header{"Nats-Batch-Id": {"b"}, "Nats-Batch-Sequence": {fmt.Sprint(2*seq + 1)}}
		if commit != "" {
			h.Set("Nats-Batch-Commit", commit)
		}
		_, _ = t.try(request, []any{t.conns(), &nats.Msg{Subject: "s.2", Header: h}})
	}
	told(".BATCH_ABANDONED.S")
	data, meta := newBuffers(), newBuffers()
	t.call((*jsm.Stream).SnapshotToBuffer, s, ctx, data, meta, jsm.SnapshotConsumers())
	told(".SNAPSHOT_COMPLETE.S")
	t.call((*jsm.Stream).Delete, s)
	told(".ADVISORY.API")
	t.call((*jsm.Manager).RestoreSnapshotFromBuffer, m, ctx, "S", data.reader(), meta.reader())
	told(".STREAM.CREATED.S")
}
