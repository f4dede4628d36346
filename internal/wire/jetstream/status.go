package jetstream

import (
	"strconv"
	"time"
)

// Status is the code and text of a message that is only a header.
type Status struct {
	Code int
	Text string
}

// Statuses of pull requests and direct gets.
var (
	StatusIdleHeartbeat       = Status{100, "Idle Heartbeat"}
	StatusFlowControl         = Status{100, "FlowControl Request"}
	StatusNoMessages          = Status{404, "No Messages"}
	StatusRequestTimeout      = Status{408, "Request Timeout"}
	StatusRequestsPending     = Status{408, "Requests Pending"}
	StatusConsumerIsPush      = Status{409, "Consumer is push based"}
	StatusExceededMaxWaiting  = Status{409, "Exceeded MaxWaiting"}
	StatusMessageExceedsBytes = Status{409, "Message Size Exceeds MaxBytes"}
	StatusBatchCompleted      = Status{409, "Batch Completed"}
	StatusConsumerDeleted     = Status{409, "Consumer Deleted"}
	StatusLeadershipChange    = Status{409, "Leadership Change"}
	StatusServerShutdown      = Status{409, "Server Shutdown"}
	StatusRequiredAPILevel    = Status{412, "Required Api Level"}

	StatusEmptyRequest     = Status{408, "Empty Request"}
	StatusMalformedRequest = Status{408, "Malformed Request"}
	StatusBadRequest       = Status{408, "Bad Request"}
	StatusMessageNotFound  = Status{404, "Message Not Found"}
	StatusNoResults        = Status{404, "No Results"}
	StatusTooManyResults   = Status{413, "Too Many Results"}
)

// StatusBadPull says what is wrong with a pull request.
func StatusBadPull(why string) Status { return Status{400, "Bad Request - " + why} }

// StatusExceededBatch refuses a pull request for more than n messages.
func StatusExceededBatch(n int) Status {
	return Status{409, "Exceeded MaxRequestBatch of " + strconv.Itoa(n)}
}

// StatusExceededExpires refuses a pull request that waits for longer than d.
func StatusExceededExpires(d time.Duration) Status {
	return Status{409, "Exceeded MaxRequestExpires of " + d.String()}
}

// StatusExceededMaxBytes refuses a pull request for more than n bytes.
func StatusExceededMaxBytes(n int) Status {
	return Status{409, "Exceeded MaxRequestMaxBytes of " + strconv.Itoa(n)}
}

// AppendStatus adds a header block that is a status and nothing else.
func AppendStatus(dst []byte, s Status) []byte {
	dst = appendStatusLine(dst, s)
	return append(dst, "\r\n\r\n"...)
}

// AppendStatusPending adds a status that tells what of a pull request was not
// delivered, in messages and bytes.
func AppendStatusPending(dst []byte, s Status, msgs, size int) []byte {
	dst = appendStatusLine(dst, s)
	dst = append(dst, "\r\nNats-Pending-Messages: "...)
	dst = strconv.AppendInt(dst, int64(msgs), 10)
	dst = append(dst, "\r\nNats-Pending-Bytes: "...)
	dst = strconv.AppendInt(dst, int64(size), 10)
	return append(dst, "\r\n\r\n"...)
}

// AppendHeartbeat adds the status of an idle heartbeat: the consumer and stream
// sequence delivered last, and where the open flow-control request is answered, if
// there is one.
func AppendHeartbeat(dst []byte, lastConsumer, lastStream uint64, stalled []byte) []byte {
	dst = appendStatusLine(dst, StatusIdleHeartbeat)
	dst = append(dst, "\r\nNats-Last-Consumer: "...)
	dst = strconv.AppendUint(dst, lastConsumer, 10)
	dst = append(dst, "\r\nNats-Last-Stream: "...)
	dst = strconv.AppendUint(dst, lastStream, 10)
	if len(stalled) > 0 {
		dst = append(dst, "\r\nNats-Consumer-Stalled: "...)
		dst = append(dst, stalled...)
	}
	return append(dst, "\r\n\r\n"...)
}

// appendStatusLine adds the first line. A text may hold a client's own words: its
// control characters become spaces, so that it stays one line.
func appendStatusLine(dst []byte, s Status) []byte {
	dst = append(dst, "NATS/1.0 "...)
	dst = strconv.AppendInt(dst, int64(s.Code), 10)
	if s.Text == "" {
		return dst
	}
	dst = append(dst, ' ')
	for i := range len(s.Text) {
		c := s.Text[i]
		if c < ' ' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// appendTime adds ns since the Unix epoch as RFC 3339 in UTC.
func appendTime(dst []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(dst, time.RFC3339Nano)
}
