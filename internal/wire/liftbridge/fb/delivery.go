package fb

import wire "github.com/weirmq/weir/internal/wire/liftbridge"

// Message is a stored message for a subscriber.
type Message struct {
	Offset, Time               int64
	Subject, Value, Key, Reply []byte
	Headers                    []wire.Header
}

// MessageBatch is written for a subscriber. It keeps nothing of what it is given. The
// zero value is an empty one.
type MessageBatch struct {
	body
	subjects column
	// fields is where the tables of fields are, by what a message has; 0: not written.
	// They are never at 0, as there is a zero before the first one.
	fields [8]uint32
	header uint32
}

// What a message has beside what all have.
const (
	hasKey = 1 << iota
	hasReply
	hasHeaders
)

// Places in a message's table, and in one of a header.
const (
	messageValue    = 4
	messageOffset   = 8
	messageTime     = 16
	messageSubject  = 24
	messageOptional = 28 // from here on four bytes for each thing that it has

	placeName  = 4
	placeValue = 8
	headerSize = 12
)

// Reset makes the batch empty. Its body will lie in buf, as far as it has room.
func (b *MessageBatch) Reset(buf []byte) {
	b.reset(append(buf[:0], 0))
	b.subjects, b.fields, b.header = column{}, [8]uint32{}, 0
}

// Len is how many messages there are.
func (b *MessageBatch) Len() int { return len(b.tables) }

// most is how much a message adds to a batch at most, beside what it says: its table
// with all fields and theirs, seven lengths, their alignments, and its place in the
// head. Each header adds its table, and a place, two lengths, an end and alignments.
const (
	mostMessage = 160
	mostHeader  = headerSize + 4 + 8 + 1 + 16
)

// Size is how long the batch is at least, bytes.
func (b *MessageBatch) Size() int { return b.size() }

// Fits says whether the batch with one message more has no more than so many bytes.
// One message always fits.
func (b *MessageBatch) Fits(m *Message, bytes int) bool {
	if len(b.tables) == 0 {
		return true
	}
	n := b.size() + sizeOffset*len(b.tables) + mostMessage + len(m.Subject) + len(m.Value) + len(m.Key) + len(m.Reply)
	for _, h := range m.Headers {
		n += mostHeader + len(h.Name) + len(h.Value)
	}
	return n <= bytes
}

// Add adds a message.
func (b *MessageBatch) Add(m *Message) {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, 0)
	}
	has := 0
	if len(m.Key) > 0 {
		has |= hasKey
	}
	if len(m.Reply) > 0 {
		has |= hasReply
	}
	if len(m.Headers) > 0 {
		has |= hasHeaders
	}
	places, size := b.describe(has)
	pos := b.open(b.fields[has], size)
	b.tables = append(b.tables, uint32(pos))
	le.PutUint64(b.buf[pos+messageOffset:], uint64(m.Offset))
	le.PutUint64(b.buf[pos+messageTime:], uint64(m.Time))
	share(&b.body, pos+messageSubject, &b.subjects, m.Subject)
	b.vector(pos+messageValue, m.Value)
	if has&hasKey != 0 {
		b.vector(pos+places[0], m.Key)
	}
	if has&hasReply != 0 {
		b.text(pos+places[1], m.Reply)
	}
	if has&hasHeaders != 0 {
		b.addHeaders(pos+places[2], m.Headers)
	}
}

// describe gives the places of what a message has, and the size of its table, which
// it describes in the body if that was not done.
func (b *MessageBatch) describe(has int) (places [3]int, size int) {
	size = messageOptional
	var p [3]uint16
	for i := range p {
		if has&(1<<i) != 0 {
			places[i], p[i] = size, uint16(size)
			size += sizeOffset
		}
	}
	if b.fields[has] == 0 {
		b.buf = align(b.buf, 2)
		b.fields[has] = uint32(len(b.buf))
		b.buf = appendFields(b.buf, size, messageOffset, messageTime, messageSubject, messageValue, p[0], p[1], p[2])
	}
	return places, size
}

// addHeaders writes headers, to which the reference at pos leads.
func (b *MessageBatch) addHeaders(pos int, headers []wire.Header) {
	b.lead(pos)
	first := len(b.buf) + sizeOffset
	b.buf = le.AppendUint32(b.buf, uint32(len(headers)))
	b.buf = append(b.buf, make([]byte, sizeOffset*len(headers))...)
	if b.header == 0 {
		b.header = uint32(len(b.buf))
		b.buf = appendFields(b.buf, headerSize, placeName, placeValue)
	}
	for i, h := range headers {
		at := b.open(b.header, headerSize)
		le.PutUint32(b.buf[first+i*sizeOffset:], uint32(at-first-i*sizeOffset))
		b.text(at+placeName, h.Name)
		b.vector(at+placeValue, h.Value)
	}
}

// The head of a batch of messages: places of the root and of its fields in it.
const (
	rootAt        = 16
	rootStream    = 4
	rootPartition = 8
	rootMessages  = 12
	rootSize      = 16
)

// Finish ends the batch: it is head, which is appended to dst, an empty slice, and
// body behind it. The batch is to be Reset then; body lies in what it was Reset with,
// if there was room.
func (b *MessageBatch) Finish(dst []byte, stream string, partition int32) (head, body []byte) {
	body = b.finish()
	const vector = rootAt + rootSize
	text := vector + sizeOffset + sizeOffset*len(b.tables)
	end := (text + sizeOffset + len(stream) + 1 + 7) &^ 7
	head = le.AppendUint32(dst, rootAt)
	head = align(appendFields(head, rootSize, rootStream, rootPartition, rootMessages), rootAt)
	head = le.AppendUint32(head, rootAt-sizeOffset)
	head = le.AppendUint32(head, uint32(text-rootAt-rootStream))
	head = le.AppendUint32(head, uint32(partition))
	head = le.AppendUint32(head, vector-rootAt-rootMessages)
	head = b.appendVector(head, end)
	return align(appendText(head, stream), 8), body
}
