package fb

// Answer is what became of a published message.
type Answer struct {
	Number      uint64
	Correlation []byte
	// Refusal is why it is not stored; empty: it is, and what follows says where.
	Refusal                   string
	Code                      int8 // of the refusal
	Policy                    int8
	Offset                    int64
	ReceptionTime, CommitTime int64
	Stream, Subject           string
}

// AnswerBatch is written for a publisher. It keeps nothing of what it is given. The
// zero value is an empty one.
type AnswerBatch struct {
	body
	streams, subjects, refusals column
	// fields is where the tables of fields are, by what an answer is; 0: not written.
	fields  [4]uint32
	refusal uint32
}

// What an answer is.
const (
	isRefusal = 1 << iota
	isCorrelated
)

// Places in an answer's table, and in one of a refusal.
const (
	answerNumber      = 8
	answerCorrelation = 4

	ackOffset    = 16
	ackReception = 24
	ackCommit    = 32
	ackStream    = 40
	ackSubject   = 44
	ackPolicy    = 48
	ackSize      = 49

	refusedBy   = 16
	refusedSize = 20

	refusalMessage = 4
	refusalCode    = 8
	refusalSize    = 9
)

// Reset makes the batch empty. Its body will lie in buf, as far as it has room.
func (b *AnswerBatch) Reset(buf []byte) {
	b.reset(append(buf[:0], 0))
	b.streams, b.subjects, b.refusals, b.fields, b.refusal = column{}, column{}, column{}, [4]uint32{}, 0
}

// Len is how many answers there are.
func (b *AnswerBatch) Len() int { return len(b.tables) }

// Size is how long the batch is at least, bytes.
func (b *AnswerBatch) Size() int { return b.size() }

// Add adds an answer.
func (b *AnswerBatch) Add(a *Answer) {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, 0)
	}
	is, size := 0, ackSize
	if a.Refusal != "" {
		is, size = isRefusal, refusedSize
	}
	if len(a.Correlation) > 0 {
		is |= isCorrelated
	}
	b.describe(is, size)
	pos := b.open(b.fields[is], size)
	b.tables = append(b.tables, uint32(pos))
	le.PutUint64(b.buf[pos+answerNumber:], a.Number)
	if is&isRefusal == 0 {
		le.PutUint64(b.buf[pos+ackOffset:], uint64(a.Offset))
		le.PutUint64(b.buf[pos+ackReception:], uint64(a.ReceptionTime))
		le.PutUint64(b.buf[pos+ackCommit:], uint64(a.CommitTime))
		b.buf[pos+ackPolicy] = byte(a.Policy)
		share(&b.body, pos+ackStream, &b.streams, a.Stream)
		share(&b.body, pos+ackSubject, &b.subjects, a.Subject)
	}
	if is&isCorrelated != 0 {
		b.text(pos+answerCorrelation, a.Correlation)
	}
	if is&isRefusal != 0 {
		b.refuse(pos+refusedBy, a)
	}
}

// describe writes the table of fields of answers of one kind, once.
func (b *AnswerBatch) describe(is, size int) {
	if b.fields[is] != 0 {
		return
	}
	b.buf = align(b.buf, 2)
	b.fields[is] = uint32(len(b.buf))
	correlation := uint16(0)
	if is&isCorrelated != 0 {
		correlation = answerCorrelation
	}
	if is&isRefusal != 0 {
		b.buf = appendFields(b.buf, size, answerNumber, refusedBy, correlation)
		return
	}
	b.buf = appendFields(b.buf, size,
		answerNumber, 0, correlation, ackOffset, ackStream, ackSubject, ackPolicy, ackReception, ackCommit)
}

// refuse writes a refusal, to which the reference at pos leads.
func (b *AnswerBatch) refuse(pos int, a *Answer) {
	if b.refusal == 0 {
		b.buf = align(b.buf, 2)
		b.refusal = uint32(len(b.buf))
		b.buf = appendFields(b.buf, refusalSize, refusalCode, refusalMessage)
	}
	at := b.open(b.refusal, refusalSize)
	le.PutUint32(b.buf[pos:], uint32(at-pos))
	b.buf[at+refusalCode] = byte(a.Code)
	share(&b.body, at+refusalMessage, &b.refusals, a.Refusal)
}

// The head of a batch of answers: places of the root and of its field in it.
const (
	answersRootAt   = 12
	answersVector   = 4
	answersRootSize = 8
)

// Finish ends the batch: it is head, which is appended to dst, an empty slice, and
// body behind it. The batch is to be Reset then; body lies in what it was Reset with,
// if there was room.
func (b *AnswerBatch) Finish(dst []byte) (head, body []byte) {
	body = b.finish()
	end := (answersRootAt + answersRootSize + sizeOffset + sizeOffset*len(b.tables) + 7) &^ 7
	head = le.AppendUint32(dst, answersRootAt)
	head = align(appendFields(head, answersRootSize, answersVector), sizeOffset)
	head = le.AppendUint32(head, answersRootAt-sizeOffset)
	head = le.AppendUint32(head, answersRootSize-answersVector)
	return align(b.appendVector(head, end), 8), body
}
