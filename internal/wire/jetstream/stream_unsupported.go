package jetstream

// Unsupported refuses the first option of a valid configuration that this server
// does not serve yet, by name, so that nothing is accepted and then ignored.
func (c *StreamConfig) Unsupported() *Error {
	for _, o := range [...]struct {
		set  bool
		name string
	}{
		{c.Placement != nil, "placement"},
		{c.AllowMsgCounter, "allow_msg_counter"},
		{c.AllowAtomicPublish, "allow_atomic"},
		{c.PersistMode != PersistDefault, "persist_mode"},
		{c.AllowBatchPublish, "allow_batched"},
	} {
		if o.set {
			return invalidStream("stream configuration for %s is not supported by this server yet", o.name)
		}
	}
	return nil
}
