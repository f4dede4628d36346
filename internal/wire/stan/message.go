package stan

import "encoding/binary"

// PubMsg is what a client publishes. Its bytes are borrowed.
type PubMsg struct {
	ClientID []byte
	GUID     []byte // names the message in its PubAck
	Subject  []byte // the channel
	Reply    []byte
	Data     []byte
	ConnID   []byte // who publishes, where it is not empty; else ClientID says
}

// Decode reads a message.
func (m *PubMsg) Decode(b []byte) error {
	*m = PubMsg{}
	var f field
	var checksum []byte // that nobody ever used
	for len(b) > 0 {
		n := short(b, &f)
		if n == 0 {
			n = next(b, &f)
		}
		if n <= 0 {
			return ErrMalformed
		}
		b = b[n:]
		to := m.field(f.num, &checksum)
		if to == nil {
			continue // unknown
		}
		if f.kind != wireBytes {
			return ErrMalformed
		}
		*to = f.bytes
	}
	return nil
}

// field is where the bytes of a field belong; nil for an unknown one.
func (m *PubMsg) field(num uint64, checksum *[]byte) *[]byte {
	switch num {
	case 1:
		return &m.ClientID
	case 2:
		return &m.GUID
	case 3:
		return &m.Subject
	case 4:
		return &m.Reply
	case 5:
		return &m.Data
	case 6:
		return &m.ConnID
	case 10:
		return checksum
	}
	return nil
}

// Append appends the encoded message.
func (m *PubMsg) Append(dst []byte) []byte {
	dst = appendBytes(dst, 1, m.ClientID)
	dst = appendBytes(dst, 2, m.GUID)
	dst = appendBytes(dst, 3, m.Subject)
	dst = appendBytes(dst, 4, m.Reply)
	dst = appendBytes(dst, 5, m.Data)
	return appendBytes(dst, 6, m.ConnID)
}

// AppendPubAck appends the answer to a publisher: an empty text says that the
// message is stored.
func AppendPubAck(dst, guid []byte, text string) []byte {
	return appendBytes(appendBytes(dst, 1, guid), 2, text)
}

// PubAck is that answer, decoded.
type PubAck struct{ GUID, Error string }

// Decode reads an answer.
func (m *PubAck) Decode(b []byte) error {
	*m = PubAck{}
	return decode(b, bits(1, 2), func(f field) bool {
		switch f.num {
		case 1:
			return f.text(&m.GUID)
		case 2:
			return f.text(&m.Error)
		}
		return false
	})
}

// Msg is a message on its way to a subscriber. Its bytes are borrowed.
type Msg struct {
	Sequence        uint64
	Subject         []byte // the channel
	Reply           []byte
	Data            []byte
	Timestamp       int64 // Unix ns
	Redelivered     bool
	RedeliveryCount uint32
	CRC32           uint32 // of the data, IEEE; servers send 0
}

// Append appends the encoded message.
func (m *Msg) Append(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Sequence)
	dst = appendBytes(dst, 2, m.Subject)
	dst = appendBytes(dst, 3, m.Reply)
	dst = appendBytes(dst, 4, m.Data)
	dst = appendInt(dst, 5, m.Timestamp)
	if m.Redelivered {
		dst = appendUint(dst, 6, 1)
	}
	dst = appendUint(dst, 7, uint64(m.RedeliveryCount))
	return appendUint(dst, 10, uint64(m.CRC32))
}

// Decode reads a message.
func (m *Msg) Decode(b []byte) error {
	*m = Msg{}
	return decode(b, bits(1, 2, 3, 4, 5, 6, 7, 10), func(f field) bool {
		var n uint64
		switch f.num {
		case 1:
			return f.uint(&m.Sequence)
		case 2:
			return f.borrow(&m.Subject)
		case 3:
			return f.borrow(&m.Reply)
		case 4:
			return f.borrow(&m.Data)
		case 5:
			return f.int64(&m.Timestamp)
		case 6:
			ok := f.uint(&n)
			m.Redelivered = n != 0
			return ok
		case 7:
			ok := f.uint(&n)
			m.RedeliveryCount = uint32(n)
			return ok
		case 10:
			ok := f.uint(&n)
			m.CRC32 = uint32(n)
			return ok
		}
		return false
	})
}

// Ack is a subscriber's acknowledgement of one message. Its bytes are borrowed.
type Ack struct {
	Subject  []byte // the channel
	Sequence uint64
}

// Append appends the encoded acknowledgement.
func (m *Ack) Append(dst []byte) []byte {
	return appendUint(appendBytes(dst, 1, m.Subject), 2, m.Sequence)
}

// Decode reads an acknowledgement.
func (m *Ack) Decode(b []byte) error {
	if m.usual(b) {
		return nil
	}
	return m.fields(b)
}

// fields reads whatever fields there are.
func (m *Ack) fields(b []byte) error {
	*m = Ack{}
	return decode(b, bits(1, 2), func(f field) bool {
		switch f.num {
		case 1:
			return f.borrow(&m.Subject)
		case 2:
			return f.uint(&m.Sequence)
		}
		return false
	})
}

// usual reads what every client sends: a channel's name of less than 128 bytes and a
// number behind it, once each. It says whether b is that.
func (m *Ack) usual(b []byte) bool {
	if len(b) < 2 || b[0] != 1<<3|wireBytes || b[1] >= 0x80 {
		return false
	}
	at := 2 + int(b[1])
	if len(b) < at+2 || b[at] != 2<<3|wireVarint {
		return false
	}
	seq, n := binary.Uvarint(b[at+1:])
	if at+1+n != len(b) {
		return false
	}
	m.Subject, m.Sequence = b[2:at:at], seq
	return true
}

// ParseControl says whether b is one of the messages that servers of a partitioned
// or fault-tolerant system send each other: they go to the subjects that clients
// publish to, too, and get no answer.
func ParseControl(b []byte) error {
	return decode(b, bits(1, 2, 3, 4), func(f field) bool {
		switch f.num {
		case 1:
			return f.kind == wireVarint
		case 2, 3, 4:
			return f.kind == wireBytes
		}
		return false
	})
}
