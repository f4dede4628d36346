package jetstream

import "time"

// Event is a kind of advisory or metric.
type Event uint8

// Events.
const (
	EventStreamCreated Event = iota
	EventStreamDeleted
	EventStreamUpdated
	EventSnapshotCreate
	EventSnapshotComplete
	EventRestoreCreate
	EventRestoreComplete
	EventConsumerCreated
	EventConsumerDeleted
	EventConsumerPause
	EventMaxDeliver
	EventNak
	EventTerminated
	EventPinned
	EventUnpinned
	EventAck
	EventBatchAbandoned
	EventAPI
	EventOutOfStorage
	EventAPILimit
)

// EventPrefix begins the subjects of all events.
const EventPrefix = "$JS.EVENT."

// events gives the middle of the subject and the end of the type, and what is said to
// have been done.
var events = [...]struct{ subject, name, action string }{
	EventStreamCreated:    {"ADVISORY.STREAM.CREATED", "advisory.v1.stream_action", "create"},
	EventStreamDeleted:    {"ADVISORY.STREAM.DELETED", "advisory.v1.stream_action", "delete"},
	EventStreamUpdated:    {"ADVISORY.STREAM.UPDATED", "advisory.v1.stream_action", "modify"},
	EventSnapshotCreate:   {"ADVISORY.STREAM.SNAPSHOT_CREATE", "advisory.v1.snapshot_create", ""},
	EventSnapshotComplete: {"ADVISORY.STREAM.SNAPSHOT_COMPLETE", "advisory.v1.snapshot_complete", ""},
	EventRestoreCreate:    {"ADVISORY.STREAM.RESTORE_CREATE", "advisory.v1.restore_create", ""},
	EventRestoreComplete:  {"ADVISORY.STREAM.RESTORE_COMPLETE", "advisory.v1.restore_complete", ""},
	EventConsumerCreated:  {"ADVISORY.CONSUMER.CREATED", "advisory.v1.consumer_action", "create"},
	EventConsumerDeleted:  {"ADVISORY.CONSUMER.DELETED", "advisory.v1.consumer_action", "delete"},
	EventConsumerPause:    {"ADVISORY.CONSUMER.PAUSE", "advisory.v1.consumer_pause", ""},
	EventMaxDeliver:       {"ADVISORY.CONSUMER.MAX_DELIVERIES", "advisory.v1.max_deliver", ""},
	EventNak:              {"ADVISORY.CONSUMER.MSG_NAKED", "advisory.v1.nak", ""},
	EventTerminated:       {"ADVISORY.CONSUMER.MSG_TERMINATED", "advisory.v1.terminated", ""},
	EventPinned:           {"ADVISORY.CONSUMER.PINNED", "advisory.v1.consumer_group_pinned", ""},
	EventUnpinned:         {"ADVISORY.CONSUMER.UNPINNED", "advisory.v1.consumer_group_unpinned", ""},
	EventAck:              {"METRIC.CONSUMER.ACK", "metric.v1.consumer_ack", ""},
	EventBatchAbandoned:   {"ADVISORY.STREAM.BATCH_ABANDONED", "advisory.v1.stream_batch_abandoned", ""},
	EventAPI:              {"ADVISORY.API", "advisory.v1.api_audit", ""},
	EventOutOfStorage:     {"ADVISORY.SERVER.OUT_OF_STORAGE", "advisory.v1.server_out_of_space", ""},
	EventAPILimit:         {"ADVISORY.API.LIMIT_REACHED", "advisory.v1.api_limit_reached", ""},
}

// AppendSubject adds the subject on which the event is told; consumer is empty for
// events of streams, both for those of the server.
func (e Event) AppendSubject(dst []byte, stream, consumer string) []byte {
	dst = append(dst, EventPrefix...)
	dst = append(dst, events[e].subject...)
	if stream != "" {
		dst = append(dst, '.')
		dst = append(dst, stream...)
	}
	if consumer != "" {
		dst = append(dst, '.')
		dst = append(dst, consumer...)
	}
	return dst
}

// EventHead begins the body of every event. Domain is that of the server, if it has one.
type EventHead struct {
	Type   string    `json:"type"`
	ID     string    `json:"id"`
	Time   time.Time `json:"timestamp"`
	Domain string    `json:"domain,omitempty"`
}

// Head gives the beginning of the event's body; id is never given twice.
func (e Event) Head(id string, at time.Time, domain string) EventHead {
	return EventHead{Type: "io.nats.jetstream." + events[e].name, ID: id, Time: at.UTC(), Domain: domain}
}

// Action says what was done to a stream or consumer.
func (e Event) Action() string { return events[e].action }

// StreamActionEvent tells that a stream was created, changed or deleted.
type StreamActionEvent struct {
	EventHead
	Stream string `json:"stream"`
	Action string `json:"action"`
}

// ConsumerActionEvent tells that a consumer was created or deleted.
type ConsumerActionEvent struct {
	EventHead
	Stream   string `json:"stream"`
	Consumer string `json:"consumer"`
	Action   string `json:"action"`
}

// ConsumerPauseEvent tells that a pause began or ended.
type ConsumerPauseEvent struct {
	EventHead
	Stream     string    `json:"stream"`
	Consumer   string    `json:"consumer"`
	Paused     bool      `json:"paused"`
	PauseUntil time.Time `json:"pause_until"` // the zero time: it is over
}

// MsgEvent tells what came of a message. The consumer's sequence is not there where a
// message was given up, a reason only where it was ended.
type MsgEvent struct {
	EventHead
	Stream      string `json:"stream"`
	Consumer    string `json:"consumer"`
	ConsumerSeq uint64 `json:"consumer_seq,omitempty"`
	StreamSeq   uint64 `json:"stream_seq"`
	Deliveries  int    `json:"deliveries"`
	Reason      string `json:"reason,omitempty"`
}

// AckEvent is one of the sample of acknowledgements.
type AckEvent struct {
	EventHead
	Stream      string        `json:"stream"`
	Consumer    string        `json:"consumer"`
	ConsumerSeq uint64        `json:"consumer_seq"`
	StreamSeq   uint64        `json:"stream_seq"`
	AckTime     time.Duration `json:"ack_time"` // since its delivery
	Deliveries  int           `json:"deliveries"`
}

// APIEvent tells of a request and its answer.
type APIEvent struct {
	EventHead
	Server   string    `json:"server"`
	Client   APIClient `json:"client"`
	Subject  string    `json:"subject"`
	Request  string    `json:"request,omitempty"`
	Response string    `json:"response"`
}

// ServerEvent tells, in the system account, that the server's disk is full.
type ServerEvent struct {
	EventHead
	Server   string `json:"server"`
	ServerID string `json:"server_id"`
	Cluster  string `json:"cluster"`
}

// APILimitEvent tells, in the system account, that requests were dropped because too many
// waited.
type APILimitEvent struct {
	EventHead
	Server  string `json:"server"`
	Dropped uint64 `json:"dropped"` // since the last such event
}

// SnapshotCreateEvent tells that a stream's snapshot is about to be sent.
type SnapshotCreateEvent struct {
	EventHead
	Stream string      `json:"stream"`
	State  StreamState `json:"state"`
	Client APIClient   `json:"client"`
}

// SnapshotCompleteEvent tells that the sending of a snapshot has ended, with an error
// where it failed.
type SnapshotCompleteEvent struct {
	EventHead
	Stream string    `json:"stream"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Client APIClient `json:"client"`
	Error  string    `json:"error,omitempty"`
}

// RestoreCreateEvent tells that a stream is about to be restored.
type RestoreCreateEvent struct {
	EventHead
	Stream string    `json:"stream"`
	Client APIClient `json:"client"`
}

// RestoreCompleteEvent tells that a restore has ended, well or not; Bytes were
// uploaded.
type RestoreCompleteEvent struct {
	EventHead
	Stream string    `json:"stream"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Bytes  int64     `json:"bytes"`
	Client APIClient `json:"client"`
}

// APIClient says who made a request.
type APIClient struct {
	Account string `json:"acc"`
}

// PinEvent tells that a client was pinned, with its id, or is so no longer, with the
// reason.
type PinEvent struct {
	EventHead
	Account  string `json:"account,omitempty"`
	Stream   string `json:"stream"`
	Consumer string `json:"consumer"`
	Group    string `json:"group"`
	PinnedID string `json:"pinned_id,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// BatchEvent tells that a batch was given up, and why: timeout, large, incomplete or
// unsupported.
type BatchEvent struct {
	EventHead
	Stream string `json:"stream"`
	Batch  string `json:"batch"`
	Reason string `json:"reason"`
}
