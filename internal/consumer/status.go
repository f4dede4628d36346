package consumer

import (
	"fmt"
	"time"
)

// Status is a protocol status message for a request.
type Status struct {
	// Reply is the request's inbox.
	Reply string
	Code  int
	// Text is the description of the status line.
	Text string
	// Remains: the headers Nats-Pending-Messages and Nats-Pending-Bytes go with it,
	// with what the request still wanted.
	Remains                   bool
	PendingMsgs, PendingBytes int
	// LastConsumer and LastStream are the last delivery; headers of a heartbeat
	// (code 100).
	LastConsumer, LastStream uint64
	// Flow is the number of a flow-control request: with code 100 and another text
	// than a heartbeat's it is one, to be answered by FlowAnswered; in a heartbeat it
	// is one that was not answered yet. 0: none.
	Flow uint64
	// After is the number of the Step's deliveries that go before it.
	After int
}

// notice is a status line as data.
type notice struct {
	code    int
	text    string
	remains bool
}

var (
	noticeHeartbeatTooLarge = notice{code: 400, text: "Bad Request - heartbeat value too large"}
	noticeNoMessages        = notice{code: 404, text: "No Messages"}
	noticeTimeout           = notice{code: 408, text: "Request Timeout", remains: true}
	noticeClaimed           = notice{code: 408, text: "Requests Pending"}
	noticeMaxWaiting        = notice{code: 409, text: "Exceeded MaxWaiting"}
	noticeTooLarge          = notice{code: 409, text: "Message Size Exceeds MaxBytes", remains: true}
	noticeBatchDone         = notice{code: 409, text: "Batch Completed", remains: true}
	noticeBadPriority       = notice{code: 400, text: "Bad Request - Priority must be between 0 and 9"}
	noticeNotOverflow       = notice{code: 400, text: "Bad Request - Not a Overflow Priority consumer"}
	noticeNotPinned         = notice{code: 400, text: "Bad Request - Not a Pinned Client Priority consumer"}
	noticeNoGroup           = notice{code: 400, text: "Bad Request - Priority Group missing"}
	noticeBadGroup          = notice{code: 400, text: "Bad Request - Invalid Priority Group"}
	noticePinMismatch       = notice{code: 423, text: "Nats-Pin-Id mismatch"}
	noticeWrongPin          = notice{code: 423, text: "Nats-Wrong-Pin-Id", remains: true}
	noticeFlow              = notice{code: 100, text: "FlowControl Request"}
	noticeHeartbeat         = notice{code: 100, text: "Idle Heartbeat"}
)

func noticeMaxBatch(n int) notice {
	return notice{code: 409, text: fmt.Sprintf("Exceeded MaxRequestBatch of %d", n)}
}

func noticeMaxExpires(d time.Duration) notice {
	return notice{code: 409, text: fmt.Sprintf("Exceeded MaxRequestExpires of %v", d)}
}

func noticeMaxBytes(n int) notice {
	return notice{code: 409, text: fmt.Sprintf("Exceeded MaxRequestMaxBytes of %d", n)}
}

// Ending says why a consumer stops serving here.
type Ending uint8

const (
	// EndDeleted: the consumer or its stream was deleted.
	EndDeleted Ending = iota
	// EndShutdown: the server stops.
	EndShutdown
	// EndLeadership: another node serves it from now on.
	EndLeadership
)

var endings = [...]notice{
	EndDeleted:    {code: 409, text: "Consumer Deleted"},
	EndShutdown:   {code: 409, text: "Server Shutdown", remains: true},
	EndLeadership: {code: 409, text: "Leadership Change"},
}
