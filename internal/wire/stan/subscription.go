package stan

// StartPosition says where a new subscription begins.
type StartPosition int32

// The positions.
const (
	NewOnly StartPosition = iota
	LastReceived
	TimeDeltaStart
	SequenceStart
	First
)

// SubscriptionRequest asks for a channel's messages.
type SubscriptionRequest struct {
	ClientID       string
	Subject        string // the channel
	QGroup         string
	Inbox          string // where messages are to go
	MaxInFlight    int32
	AckWaitInSecs  int32
	DurableName    string
	StartPosition  StartPosition
	StartSequence  uint64
	StartTimeDelta int64 // ns before now
}

// Append appends the encoded request.
func (m *SubscriptionRequest) Append(dst []byte) []byte {
	dst = appendBytes(dst, 1, m.ClientID)
	dst = appendBytes(dst, 2, m.Subject)
	dst = appendBytes(dst, 3, m.QGroup)
	dst = appendBytes(dst, 4, m.Inbox)
	dst = appendInt(dst, 5, int64(m.MaxInFlight))
	dst = appendInt(dst, 6, int64(m.AckWaitInSecs))
	dst = appendBytes(dst, 7, m.DurableName)
	dst = appendInt(dst, 10, int64(m.StartPosition))
	dst = appendUint(dst, 11, m.StartSequence)
	return appendInt(dst, 12, m.StartTimeDelta)
}

// Decode reads a request.
func (m *SubscriptionRequest) Decode(b []byte) error {
	*m = SubscriptionRequest{}
	return decode(b, bits(1, 2, 3, 4, 5, 6, 7, 10, 11, 12), func(f field) bool {
		switch f.num {
		case 1:
			return f.text(&m.ClientID)
		case 2:
			return f.text(&m.Subject)
		case 3:
			return f.text(&m.QGroup)
		case 4:
			return f.text(&m.Inbox)
		case 5:
			return f.int32(&m.MaxInFlight)
		case 6:
			return f.int32(&m.AckWaitInSecs)
		case 7:
			return f.text(&m.DurableName)
		case 10:
			return f.int32((*int32)(&m.StartPosition))
		case 11:
			return f.uint(&m.StartSequence)
		case 12:
			return f.int64(&m.StartTimeDelta)
		}
		return false
	})
}

// SubscriptionResponse answers a request to subscribe, to unsubscribe or to close a
// subscription. Its first field has the number 2.
type SubscriptionResponse struct{ AckInbox, Error string }

// Append appends the encoded response.
func (m *SubscriptionResponse) Append(dst []byte) []byte {
	return appendBytes(appendBytes(dst, 2, m.AckInbox), 3, m.Error)
}

// Decode reads a response.
func (m *SubscriptionResponse) Decode(b []byte) error {
	*m = SubscriptionResponse{}
	return decode(b, bits(2, 3), func(f field) bool {
		switch f.num {
		case 2:
			return f.text(&m.AckInbox)
		case 3:
			return f.text(&m.Error)
		}
		return false
	})
}

// UnsubscribeRequest ends a subscription, or closes it. The durable's name, which
// clients never fill in and servers never read, is left out.
type UnsubscribeRequest struct {
	ClientID string
	Subject  string // the channel
	Inbox    string // for acknowledgements; or the one for messages
}

// Append appends the encoded request.
func (m *UnsubscribeRequest) Append(dst []byte) []byte {
	return appendBytes(appendBytes(appendBytes(dst, 1, m.ClientID), 2, m.Subject), 3, m.Inbox)
}

// Decode reads a request.
func (m *UnsubscribeRequest) Decode(b []byte) error {
	*m = UnsubscribeRequest{}
	return decode(b, bits(1, 2, 3, 4), func(f field) bool {
		switch f.num {
		case 1:
			return f.text(&m.ClientID)
		case 2:
			return f.text(&m.Subject)
		case 3:
			return f.text(&m.Inbox)
		case 4:
			return f.kind == wireBytes
		}
		return false
	})
}
