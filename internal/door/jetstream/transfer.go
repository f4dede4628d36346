package jetstream

import (
	"time"

	"github.com/nats-io/nuid"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// transfer is a snapshot or a restore of a stream, to tell of.
type transfer struct {
	api   *accountAPI
	name  string // of the stream
	start time.Time
}

func (a *accountAPI) newTransfer(name string) transfer {
	return transfer{api: a, name: name, start: time.Now().UTC()}
}

func (t *transfer) client() wire.APIClient { return wire.APIClient{Account: t.api.space.Name()} }

// snapshotBegins tells that a snapshot of what is there is about to be sent.
func (t *transfer) snapshotBegins(state *wire.StreamState) {
	e := wire.EventSnapshotCreate
	t.api.tell(e, t.name, "", func() []byte {
		return wire.Encode(&wire.SnapshotCreateEvent{
			EventHead: e.Head(nuid.Next(), time.Now(), t.api.o.Domain), Stream: t.name, State: *state, Client: t.client(),
		})
	})
}

// snapshotEnds tells that all was sent; err says that it was not.
func (t *transfer) snapshotEnds(err error) {
	e := wire.EventSnapshotComplete
	t.api.tell(e, t.name, "", func() []byte {
		end := time.Now().UTC()
		body := &wire.SnapshotCompleteEvent{
			EventHead: e.Head(nuid.Next(), end, t.api.o.Domain), Stream: t.name, Start: t.start, End: end, Client: t.client(),
		}
		if err != nil {
			body.Error = err.Error()
		}
		return wire.Encode(body)
	})
}

// restoreBegins tells that a stream may be uploaded.
func (t *transfer) restoreBegins() {
	e := wire.EventRestoreCreate
	t.api.tell(e, t.name, "", func() []byte {
		return wire.Encode(&wire.RestoreCreateEvent{
			EventHead: e.Head(nuid.Next(), t.start, t.api.o.Domain), Stream: t.name, Client: t.client(),
		})
	})
}

// restoreEnds tells that an upload is over, well or not; bytes came.
func (t *transfer) restoreEnds(bytes int64) {
	e := wire.EventRestoreComplete
	t.api.tell(e, t.name, "", func() []byte {
		end := time.Now().UTC()
		return wire.Encode(&wire.RestoreCompleteEvent{
			EventHead: e.Head(nuid.Next(), end, t.api.o.Domain), Stream: t.name, Start: t.start, End: end, Bytes: bytes, Client: t.client(),
		})
	})
}

// created tells that the restored stream is there.
func (t *transfer) created() {
	e := wire.EventStreamCreated
	t.api.tell(e, t.name, "", func() []byte { return t.api.streamAction(e, t.name) })
}
