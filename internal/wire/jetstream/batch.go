package jetstream

import (
	"bytes"
	"math"
	"strconv"
)

// Errors of atomic batches.
const (
	CodeAtomicDisabled      = 10174
	CodeAtomicMissingSeq    = 10175
	CodeAtomicIncomplete    = 10176
	CodeAtomicUnsupported   = 10177 // {header}
	CodeAtomicInvalidID     = 10179
	CodeAtomicTooLarge      = 10199 // {size}
	CodeAtomicInvalidCommit = 10200
	CodeAtomicDuplicate     = 10201
	CodeAtomicTooMany       = 10210
)

// Errors of fast batches.
const (
	CodeFastDisabled       = 10205
	CodeFastInvalidPattern = 10206
	CodeFastInvalidID      = 10207
	CodeFastUnknownID      = 10208
	CodeFastTooMany        = 10211
)

// CodeWrongLastSequenceConstant is the error of an expected sequence that the batch
// itself would give.
const CodeWrongLastSequenceConstant = 10164

// MaxBatchID is how many characters the id of a batch may have.
const MaxBatchID = 64

// BatchPart is the place of a message in an atomic batch: all of its messages are
// stored, in one row, or none.
type BatchPart struct {
	ID  []byte // borrowed
	Seq uint64 // 1 for the first message
	// Commit: the batch is complete. End: with the message before this one, which is
	// not stored.
	Commit, End bool
}

var batchLine = []byte("\nNats-Batch-Id:")

// MayBatch says whether a header block may place its message in an atomic batch.
func MayBatch(block []byte) bool { return len(block) > 0 && bytes.Contains(block, batchLine) }

// Batch reads the place of a message in an atomic batch; ok says that it has one.
// refuse is what the message is refused for; fatal, which ends the batch as well, is
// to be told only where the message's place is found.
func (h *PublishHeader) Batch() (p BatchPart, ok bool, refuse, fatal *Error) {
	if !h.Has(KeyBatchID) {
		return p, false, nil, nil
	}
	p.ID = h.BatchID
	var valid bool
	if p.Seq, valid = parseUint(h.BatchSeq); len(p.ID) > MaxBatchID {
		refuse = Err(CodeAtomicInvalidID)
	} else if !valid {
		refuse = Err(CodeAtomicMissingSeq)
	}
	if h.Has(KeyBatchCommit) {
		p.Commit = true
		p.End = string(h.BatchCommit) == "eob"
		if !p.End && string(h.BatchCommit) != "1" {
			return p, true, refuse, Err(CodeAtomicInvalidCommit)
		}
	}
	return p, true, refuse, h.refuseLevel()
}

// refuseLevel refuses a message that needs a higher API level than this server's.
func (h *PublishHeader) refuseLevel() *Error {
	if !h.Has(KeyRequiredAPILevel) {
		return nil
	}
	if n, ok := parseUint(h.APILevel); !ok || n > APILevel {
		return Err(CodeRequiredAPILevel)
	}
	return nil
}

// WithoutAPILevel gives a copy of a header block without the line that says which
// API level the message needs: it is not stored in a batch.
func WithoutAPILevel(block []byte) []byte { return withoutLine(block, "Nats-Required-Api-Level") }

// WithCommit gives a copy of a header block that says that its message is the last
// of its batch.
func WithCommit(block []byte) []byte { return withLine(block, "Nats-Batch-Commit", []byte("1")) }

// FastOp is what a message does to a fast batch.
type FastOp uint8

// Operations of fast batches.
const (
	FastStart  FastOp = iota
	FastAppend        // stores the message
	FastCommit        // stores the message and ends the batch
	FastEnd           // ends the batch with the message before this one
	FastPing          // asks how far the batch is
)

// FastPart is the place of a message in a fast batch: a row of messages that are
// stored as they come and acknowledged a number at a time.
type FastPart struct {
	ID  []byte // borrowed
	Seq uint64 // 1 for the first message
	Op  FastOp
	// Flow is how many messages the client would have acknowledged at once, at most.
	Flow int
	// Strict ends the batch where a message is missing or refused.
	Strict bool
}

const (
	fastEnd     = ".$FI"
	defaultFlow = 10
	maxFlow     = math.MaxUint16
)

// IsFast says whether the reply subject of a message places it in a fast batch.
func IsFast(reply []byte) bool {
	return len(reply) > len(fastEnd) && string(reply[len(reply)-len(fastEnd):]) == fastEnd
}

// ParseFast reads the reply subject of a message of a fast batch: a prefix, the id,
// the flow, what is to happen at gaps, the sequence, the operation, and "$FI".
func ParseFast(reply []byte) (FastPart, *Error) {
	var p FastPart
	rest := bytes.TrimSuffix(reply, []byte(fastEnd))
	var tokens [5][]byte // from the last: operation, sequence, gaps, flow, id
	for i := range tokens {
		dot := bytes.LastIndexByte(rest, '.')
		if dot < 0 || dot+1 == len(rest) {
			return p, Err(CodeFastInvalidPattern)
		}
		tokens[i], rest = rest[dot+1:], rest[:dot]
	}
	p.ID = tokens[4]
	flow, err := strconv.ParseInt(string(tokens[3]), 10, 64)
	gaps := string(tokens[2])
	var ok bool
	p.Seq, ok = parseUint(tokens[1])
	op := tokens[0]
	if err != nil || len(rest) == 0 || !ok || len(op) != 1 || op[0] < '0' || op[0] > '0'+byte(FastPing) || gaps != "ok" && gaps != "fail" {
		return p, Err(CodeFastInvalidPattern)
	}
	p.Op, p.Strict = FastOp(op[0]-'0'), gaps == "fail"
	if p.Flow = int(min(flow, maxFlow)); flow <= 0 {
		p.Flow = defaultFlow
	}
	if p.Op == FastStart && p.Seq != 1 || p.Op != FastStart && p.Seq == 0 || (p.Op == FastAppend || p.Op == FastEnd) && p.Seq == 1 {
		return p, Err(CodeFastInvalidPattern)
	}
	return p, nil
}

// AppendFlowAck adds the message that tells a fast batch that its messages up to seq
// are settled, and after how many it is told so again.
func AppendFlowAck(dst []byte, seq uint64, every int) []byte {
	dst = append(dst, `{"type":"ack","seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"msgs":`...)
	dst = strconv.AppendInt(dst, int64(every), 10)
	return append(dst, '}')
}

// AppendFlowGap adds the message that tells a fast batch that its messages from one
// to below another did not come.
func AppendFlowGap(dst []byte, from, to uint64) []byte {
	dst = append(dst, `{"type":"gap","last_seq":`...)
	dst = strconv.AppendUint(dst, from, 10)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, to, 10)
	return append(dst, '}')
}

// AppendFlowError adds the message that tells a fast batch that one of its messages
// was refused.
func AppendFlowError(dst []byte, seq uint64, e *Error) []byte {
	dst = append(dst, `{"type":"err","seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"error":`...)
	dst = appendError(dst, e)
	return append(dst, '}')
}
