package jetstream

import (
	"testing"
	"time"
)

func TestEventsHaveTheirSubjectsAndKeys(t *testing.T) {
	at := time.Unix(1, 5).In(time.FixedZone("x", 3600))
	for subject, c := range map[string]struct {
		event Event
		body  func(EventHead) any
		want  string
	}{
		"$JS.EVENT.ADVISORY.STREAM.UPDATED.S": {EventStreamUpdated, func(h EventHead) any {
			return &StreamActionEvent{EventHead: h, Stream: "S", Action: EventStreamUpdated.Action()}
		}, `"type":"io.nats.jetstream.advisory.v1.stream_action","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","action":"modify"`},
		"$JS.EVENT.ADVISORY.CONSUMER.DELETED.S.C": {EventConsumerDeleted, func(h EventHead) any {
			return &ConsumerActionEvent{EventHead: h, Stream: "S", Consumer: "C", Action: EventConsumerDeleted.Action()}
		}, `"type":"io.nats.jetstream.advisory.v1.consumer_action","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","consumer":"C","action":"delete"`},
		"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.C": {EventMaxDeliver, func(h EventHead) any {
			return &MsgEvent{EventHead: h, Stream: "S", Consumer: "C", StreamSeq: 3, Deliveries: 2}
		}, `"type":"io.nats.jetstream.advisory.v1.max_deliver","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","consumer":"C","stream_seq":3,"deliveries":2`},
		"$JS.EVENT.METRIC.CONSUMER.ACK.S.C": {EventAck, func(h EventHead) any {
			return &AckEvent{EventHead: h, Stream: "S", Consumer: "C", ConsumerSeq: 4, StreamSeq: 3, Deliveries: 2}
		}, `"type":"io.nats.jetstream.metric.v1.consumer_ack","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","consumer":"C","consumer_seq":4,"stream_seq":3,"ack_time":0,"deliveries":2`},
		"$JS.EVENT.ADVISORY.CONSUMER.UNPINNED.S.C": {EventUnpinned, func(h EventHead) any {
			return &PinEvent{EventHead: h, Stream: "S", Consumer: "C", Group: "g", Reason: "admin"}
		}, `"type":"io.nats.jetstream.advisory.v1.consumer_group_unpinned","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","consumer":"C","group":"g","reason":"admin"`},
		"$JS.EVENT.ADVISORY.CONSUMER.PAUSE.S.C": {EventConsumerPause, func(h EventHead) any {
			return &ConsumerPauseEvent{EventHead: h, Stream: "S", Consumer: "C"}
		}, `"type":"io.nats.jetstream.advisory.v1.consumer_pause","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","consumer":"C","paused":false,"pause_until":"0001-01-01T00:00:00Z"`},
		"$JS.EVENT.ADVISORY.STREAM.SNAPSHOT_CREATE.S": {EventSnapshotCreate, func(h EventHead) any {
			return &SnapshotCreateEvent{EventHead: h, Stream: "S", State: StreamState{Msgs: 1}, Client: APIClient{Account: "A"}}
		}, `"type":"io.nats.jetstream.advisory.v1.snapshot_create","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","state":` + string(Encode(StreamState{Msgs: 1})) + `,"client":{"acc":"A"}`},
		"$JS.EVENT.ADVISORY.STREAM.SNAPSHOT_COMPLETE.S": {EventSnapshotComplete, func(h EventHead) any {
			return &SnapshotCompleteEvent{EventHead: h, Stream: "S", Start: at.UTC(), End: at.UTC(), Error: "e"}
		}, `"type":"io.nats.jetstream.advisory.v1.snapshot_complete","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","start":"1970-01-01T00:00:01.000000005Z","end":"1970-01-01T00:00:01.000000005Z","client":{"acc":""},"error":"e"`},
		"$JS.EVENT.ADVISORY.STREAM.RESTORE_CREATE.S": {EventRestoreCreate, func(h EventHead) any {
			return &RestoreCreateEvent{EventHead: h, Stream: "S"}
		}, `"type":"io.nats.jetstream.advisory.v1.restore_create","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","client":{"acc":""}`},
		"$JS.EVENT.ADVISORY.STREAM.RESTORE_COMPLETE.S": {EventRestoreComplete, func(h EventHead) any {
			return &RestoreCompleteEvent{EventHead: h, Stream: "S", Start: at.UTC(), End: at.UTC(), Bytes: 7}
		}, `"type":"io.nats.jetstream.advisory.v1.restore_complete","id":"i","timestamp":"1970-01-01T00:00:01.000000005Z","domain":"d","stream":"S","start":"1970-01-01T00:00:01.000000005Z","end":"1970-01-01T00:00:01.000000005Z","bytes":7,"client":{"acc":""}`},
	} {
		consumer := "C"
		if c.event < EventConsumerCreated {
			consumer = ""
		}
		if got := string(c.event.AppendSubject(nil, "S", consumer)); got != subject {
			t.Errorf("subject %s, want %s", got, subject)
		}
		if got := string(Encode(c.body(c.event.Head("i", at, "d")))); got != "{"+c.want+"}" {
			t.Errorf("%s: %s", subject, got)
		}
	}
}
