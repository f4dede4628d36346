package jetstream

// metaLeafAck has a stream acknowledge what publishers on the other side of a leaf node
// link send, too, if it is "true". Else it does not: there, other systems' requests may
// be on the same subjects.
const metaLeafAck = "weir.leaf.ack"

// leafAck reads the metadata; ok is false where it is not understood.
func leafAck(meta map[string]string) (acks, ok bool) {
	switch meta[metaLeafAck] {
	case "", "false":
		return false, true
	case "true":
		return true, true
	}
	return false, false
}
