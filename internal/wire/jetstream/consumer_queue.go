package jetstream

// CheckQueue checks what a consumer of a work queue must be. Whether others want the
// same messages is for the caller to find out afterwards.
func (c *ConsumerConfig) CheckQueue(s *StreamConfig) *Error {
	switch {
	case s.Retention != RetentionWorkQueue:
	case c.AckPolicy == AckNone && !c.Push():
		return Err(CodeQueuePullRequiresAck)
	case c.AckPolicy != AckExplicit:
		return Err(CodeQueueRequiresAck)
	case c.DeliverPolicy != DeliverAll:
		return Err(CodeQueueDeliverAll)
	}
	return nil
}
