package jetstream

// MetaContinues is the key of a consumer's metadata that names another consumer of its
// stream: it begins where that one stands when it is made.
const MetaContinues = "weir.continues"

// Continues is the name of the consumer at whose position this one begins; empty: its
// deliver policy says.
func (c *ConsumerConfig) Continues() string { return c.Metadata[MetaContinues] }

// checkContinues refuses what cannot begin at another one's position: that says what is
// acknowledged, and where to go on.
func (c *ConsumerConfig) checkContinues() *Error {
	switch {
	case c.Continues() == "":
	case c.AckPolicy == AckNone:
		return consumerErr("consumer that continues another one needs acknowledgements")
	case c.DeliverPolicy != DeliverAll:
		return consumerErr("consumer that continues another one has no start of its own")
	case c.Continues() == c.KnownName():
		return consumerErr("consumer can not continue itself")
	}
	return nil
}
