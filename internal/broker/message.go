package broker

// Message is on its way. Its bytes are borrowed: they belong to whoever
// publishes and are valid until Publish returns, or longer where Stable says so.
type Message struct {
	Subject []byte // what receivers see
	To      []byte // where it is routed; nil: Subject
	Reply   []byte
	Header  []byte // a whole NATS header block, or nil
	Data    []byte

	// Tail is the end of the client protocol's form of the message: "[reply ]size
	// CRLF data CRLF", or "[reply ]header total CRLF header data CRLF". A stage that
	// speaks that protocol copies it as it is. It may be nil.
	Tail []byte

	// Stable says that the bytes stay unchanged until the publisher's HandOver, so
	// that a stage may point to them instead of copying.
	Stable bool

	// Renamed says that this receiver sees another Subject than others do, so that
	// nothing that is encoded may be shared with them. Set by imports.
	Renamed bool

	// Annotated says that Header has something in it that is for those who read the
	// message now; Plain is what is stored. Set by imports.
	Annotated bool
	Plain     []byte

	// Note is what the publisher's door says of the message to a stream of its own
	// protocol, which knows its type, or to any stream (stream.Publication); nil: nothing.
	// Data says the same to others.
	Note any

	// Groups are the queue groups that get the message; nil: all of them.
	Groups *Groups

	// Memo, where not nil, is room that belongs to this pair of subject and
	// subscription. A stage may keep there what it builds of the two. Only the
	// publisher's goroutine touches it. Set by Publisher.
	Memo *[]byte
}

// Groups are names of queue groups. There may be none.
type Groups struct{ Names [][]byte }

// has says whether a group is among them.
func (g *Groups) has(name string) bool {
	for _, n := range g.Names {
		if string(n) == name {
			return true
		}
	}
	return false
}

// Size is what the message weighs: subject, reply, header block and data.
func (m *Message) Size() int {
	return len(m.Subject) + len(m.Reply) + len(m.Header) + len(m.Data)
}

func (m *Message) route() []byte {
	if m.To != nil {
		return m.To
	}
	return m.Subject
}
