package jetstream

import "errors"

// UnpinRequest asks to end the pin of a priority group's client.
type UnpinRequest struct {
	Group string `json:"group"`
}

// Check says whether the request names a group.
func (r *UnpinRequest) Check() *Error {
	switch {
	case r.Group == "":
		return invalidJSON(errors.New("no priority group is named"))
	case !validGroup(r.Group):
		return Err(CodeInvalidGroupName)
	}
	return nil
}

// ResetRequest asks to deliver again from a sequence on; 0: from behind the floor.
type ResetRequest struct {
	Seq uint64 `json:"seq"`
}

// CheckReset says whether the consumer may be reset to a sequence; start is the one
// at which it began.
func (c *ConsumerConfig) CheckReset(seq, start uint64) *Error {
	if seq == 0 {
		return nil
	}
	switch c.DeliverPolicy {
	case DeliverAll:
		return nil
	case DeliverByStartSequence:
		start = c.OptStartSeq
	case DeliverByStartTime:
	default:
		return errText(CodeInvalidReset, "a sequence needs a consumer that delivers all, or from a start on")
	}
	if seq < start {
		return errText(CodeInvalidReset, "the consumer starts at %d", start)
	}
	return nil
}

// Sampling is how many of a hundred acknowledgements are told in a metric.
func (c *ConsumerConfig) Sampling() int {
	n, err := sampling(c.SampleFreq)
	if err != nil {
		return 0
	}
	return min(n, 100)
}

// AppendPin adds a header block with the mark of the client that is pinned.
func AppendPin(dst, hdr []byte, id string) []byte {
	dst = appendOpen(dst, hdr)
	dst = append(dst, "Nats-Pin-Id: "...)
	dst = append(dst, id...)
	return append(dst, "\r\n\r\n"...)
}
