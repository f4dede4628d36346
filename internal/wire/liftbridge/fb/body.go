package fb

// body is what follows the head of a batch that is being written.
type body struct {
	buf    []byte
	tables []uint32 // where the messages' tables are
	texts  []byte   // of several messages, as they will follow buf
	refs   []ref    // to texts
}

// ref is a reference that a table has at a place in the body, to a text.
type ref struct{ pos, text uint32 }

// column remembers the last text of a field, as its place in body.texts.
type column struct {
	at, end uint32
	any     bool
}

// reset makes the body empty. What is written then lies in buf, from its beginning.
func (b *body) reset(buf []byte) {
	*b = body{buf: buf[:0], tables: b.tables[:0], texts: b.texts[:0], refs: b.refs[:0]}
}

func align(buf []byte, to int) []byte {
	for len(buf)%to != 0 {
		buf = append(buf, 0)
	}
	return buf
}

// appendFields appends a table of fields for a table of a size: the places of its
// fields, 0 for those that are absent.
func appendFields(buf []byte, size int, places ...uint16) []byte {
	buf = le.AppendUint16(buf, uint16(sizeFields+sizeField*len(places)))
	buf = le.AppendUint16(buf, uint16(size))
	for _, p := range places {
		buf = le.AppendUint16(buf, p)
	}
	return buf
}

// open begins a table of a size whose fields are described at a place in the body.
// Its bytes are zeros.
func (b *body) open(fields uint32, size int) (pos int) {
	b.buf = align(b.buf, 8)
	pos = len(b.buf)
	b.buf = le.AppendUint32(b.buf, uint32(pos)-fields)
	b.buf = append(b.buf, make([]byte, size-sizeOffset)...)
	return pos
}

// lead has the reference at pos lead to what comes next.
func (b *body) lead(pos int) {
	b.buf = align(b.buf, sizeOffset)
	le.PutUint32(b.buf[pos:], uint32(len(b.buf)-pos))
}

// vector writes bytes, to which the reference at pos leads.
func (b *body) vector(pos int, data []byte) {
	b.lead(pos)
	b.buf = le.AppendUint32(b.buf, uint32(len(data)))
	b.buf = append(b.buf, data...)
}

// appendText appends a text, with the zero that ends it.
func appendText[T string | []byte](buf []byte, text T) []byte {
	buf = le.AppendUint32(buf, uint32(len(text)))
	return append(append(buf, text...), 0)
}

// text writes a text, to which the reference at pos leads.
func (b *body) text(pos int, text []byte) {
	b.lead(pos)
	b.buf = appendText(b.buf, text)
}

// share has the reference at pos lead to a text that is written later, and once for
// all that have it one after the other.
func share[T string | []byte](b *body, pos int, c *column, text T) {
	if !c.any || string(b.texts[c.at+sizeOffset:c.end]) != string(text) {
		b.texts = align(b.texts, sizeOffset)
		c.any, c.at = true, uint32(len(b.texts))
		b.texts = appendText(b.texts, text)
		c.end = uint32(len(b.texts)) - 1
	}
	b.refs = append(b.refs, ref{uint32(pos), c.at})
}

// size is how long the body will be, bytes, less what alignment adds.
func (b *body) size() int { return len(b.buf) + len(b.texts) }

// finish writes the texts.
func (b *body) finish() []byte {
	b.buf = align(b.buf, sizeOffset)
	base := uint32(len(b.buf))
	b.buf = append(b.buf, b.texts...)
	for _, r := range b.refs {
		le.PutUint32(b.buf[r.pos:], base+r.text-r.pos)
	}
	return b.buf
}

// HeadSize is a length that no head of a batch of n messages or answers exceeds, with
// this stream's name.
func HeadSize(n int, stream string) int {
	return rootAt + rootSize + sizeOffset + sizeOffset*n + sizeOffset + len(stream) + 1 + 7
}

// appendVector appends the vector of references to the tables, in the head: the body
// begins at a place of it.
func (b *body) appendVector(head []byte, begins int) []byte {
	head = le.AppendUint32(head, uint32(len(b.tables)))
	for _, t := range b.tables {
		head = le.AppendUint32(head, uint32(begins-len(head))+t)
	}
	return head
}
