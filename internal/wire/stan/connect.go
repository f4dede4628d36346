package stan

// ConnectRequest begins a client's session.
type ConnectRequest struct {
	ClientID       string
	HeartbeatInbox string
	Protocol       int32 // 0, or 1 for clients that have a ConnID and send pings
	ConnID         []byte
	PingInterval   int32 // seconds; negative in tests of clients: milliseconds
	PingMaxOut     int32
}

// Append appends the encoded request.
func (m *ConnectRequest) Append(dst []byte) []byte {
	dst = appendBytes(dst, 1, m.ClientID)
	dst = appendBytes(dst, 2, m.HeartbeatInbox)
	dst = appendInt(dst, 3, int64(m.Protocol))
	dst = appendBytes(dst, 4, m.ConnID)
	dst = appendInt(dst, 5, int64(m.PingInterval))
	return appendInt(dst, 6, int64(m.PingMaxOut))
}

// Decode reads a request. ConnID is borrowed.
func (m *ConnectRequest) Decode(b []byte) error {
	*m = ConnectRequest{}
	return decode(b, bits(1, 2, 3, 4, 5, 6), func(f field) bool {
		switch f.num {
		case 1:
			return f.text(&m.ClientID)
		case 2:
			return f.text(&m.HeartbeatInbox)
		case 3:
			return f.int32(&m.Protocol)
		case 4:
			return f.borrow(&m.ConnID)
		case 5:
			return f.int32(&m.PingInterval)
		case 6:
			return f.int32(&m.PingMaxOut)
		}
		return false
	})
}

// ConnectResponse tells a client where to send what, or why it is refused.
type ConnectResponse struct {
	PubPrefix, SubRequests, UnsubRequests string
	CloseRequests, SubCloseRequests       string
	Error                                 string
	PingRequests                          string
	PingInterval, PingMaxOut, Protocol    int32
}

// Append appends the encoded response.
func (m *ConnectResponse) Append(dst []byte) []byte {
	dst = appendBytes(dst, 1, m.PubPrefix)
	dst = appendBytes(dst, 2, m.SubRequests)
	dst = appendBytes(dst, 3, m.UnsubRequests)
	dst = appendBytes(dst, 4, m.CloseRequests)
	dst = appendBytes(dst, 5, m.Error)
	dst = appendBytes(dst, 6, m.SubCloseRequests)
	dst = appendBytes(dst, 7, m.PingRequests)
	dst = appendInt(dst, 8, int64(m.PingInterval))
	dst = appendInt(dst, 9, int64(m.PingMaxOut))
	return appendInt(dst, 10, int64(m.Protocol))
}

// Decode reads a response.
func (m *ConnectResponse) Decode(b []byte) error {
	*m = ConnectResponse{}
	texts := [...]*string{
		1: &m.PubPrefix, 2: &m.SubRequests, 3: &m.UnsubRequests, 4: &m.CloseRequests,
		5: &m.Error, 6: &m.SubCloseRequests, 7: &m.PingRequests,
	}
	numbers := [...]*int32{8: &m.PingInterval, 9: &m.PingMaxOut, 10: &m.Protocol}
	return decode(b, bits(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), func(f field) bool {
		switch {
		case f.num < uint64(len(texts)):
			return f.text(texts[f.num])
		case f.num < uint64(len(numbers)):
			return f.int32(numbers[f.num])
		}
		return false
	})
}

// DecodePing reads a client's ping and gives its connection's id, borrowed.
func DecodePing(b []byte) (connID []byte, err error) {
	err = decode(b, bits(1), func(f field) bool { return f.num == 1 && f.borrow(&connID) })
	return connID, err
}

// AppendPing appends a ping.
func AppendPing(dst, connID []byte) []byte { return appendBytes(dst, 1, connID) }

// AppendText appends the answer to a ping or to a CloseRequest: empty for success.
func AppendText(dst []byte, text string) []byte { return appendBytes(dst, 1, text) }

// DecodeText reads such an answer.
func DecodeText(b []byte) (text string, err error) {
	err = decode(b, bits(1), func(f field) bool { return f.num == 1 && f.text(&text) })
	return text, err
}

// DecodeClose reads the request to end a client's session and gives its id.
func DecodeClose(b []byte) (clientID string, err error) { return DecodeText(b) }

// AppendClose appends that request.
func AppendClose(dst []byte, clientID string) []byte { return appendBytes(dst, 1, clientID) }
