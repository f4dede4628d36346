package liftbridge

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// AckError says why a message was not stored.
type AckError int32

// Reasons that an ack can give.
const (
	AckOK              AckError = 0
	AckUnknown         AckError = 1
	AckIncorrectOffset AckError = 2
	AckTooLarge        AckError = 3
	AckEncryption      AckError = 4
)

// Ack is what a publisher is told of its message.
type Ack struct {
	Stream           []byte
	PartitionSubject []byte // of the stream: partition 0's
	MsgSubject       []byte
	Offset           int64
	AckInbox         []byte
	CorrelationID    []byte
	AckPolicy        AckPolicy
	ReceptionTime    int64 // of the message, as it is stored; Unix ns
	CommitTime       int64 // when it was on stable storage; Unix ns
	Error            AckError

	// Names, where not nil, is what AppendNames makes of the first three, which are not
	// looked at then: a publisher's acks all have the same.
	Names []byte
}

const (
	ackStream           = 1
	ackPartitionSubject = 2
	ackMsgSubject       = 3
	ackOffset           = 4
	ackAckInbox         = 5
	ackCorrelationID    = 6
	ackPolicy           = 7
	ackReceptionTime    = 8
	ackCommitTime       = 9
	ackError            = 10
)

// AppendAck appends the envelope of an ack.
func AppendAck(dst []byte, a *Ack) []byte {
	return appendAck(appendHeader(dst, TypeAck), a)
}

// AppendNames appends the beginning of an ack, up to the offset.
func AppendNames(dst []byte, a *Ack) []byte {
	dst = appendBytes(dst, ackStream, a.Stream)
	dst = appendBytes(dst, ackPartitionSubject, a.PartitionSubject)
	return appendBytes(dst, ackMsgSubject, a.MsgSubject)
}

// appendAck appends an ack without its envelope.
func appendAck(dst []byte, a *Ack) []byte {
	if a.Names != nil {
		dst = append(dst, a.Names...)
	} else {
		dst = AppendNames(dst, a)
	}
	dst = appendNumber(dst, ackOffset, uint64(a.Offset))
	dst = appendBytes(dst, ackAckInbox, a.AckInbox)
	dst = appendBytes(dst, ackCorrelationID, a.CorrelationID)
	dst = appendNumber(dst, ackPolicy, uint64(a.AckPolicy))
	dst = appendNumber(dst, ackReceptionTime, uint64(a.ReceptionTime))
	dst = appendNumber(dst, ackCommitTime, uint64(a.CommitTime))
	return appendNumber(dst, ackError, uint64(a.Error))
}

// DecodeAck reads an envelope of an ack into a, whose slices then point into it.
// The error wraps ErrNotEnvelope.
func DecodeAck(data []byte, a *Ack) error {
	t, payload, err := DecodeEnvelope(data)
	if err != nil {
		return err
	}
	if t != TypeAck {
		return fmt.Errorf("%w of an ack: type %d", ErrNotEnvelope, t)
	}
	*a = Ack{}
	texts := map[protowire.Number]*[]byte{
		ackStream: &a.Stream, ackPartitionSubject: &a.PartitionSubject, ackMsgSubject: &a.MsgSubject,
		ackAckInbox: &a.AckInbox, ackCorrelationID: &a.CorrelationID,
	}
	f := fields{rest: payload}
	for f.next() {
		if text := texts[f.num]; f.isBytes && text != nil {
			*text = f.b
		}
		if !f.isBytes {
			a.number(f.num, f.n)
		}
	}
	return f.err
}

func (a *Ack) number(num protowire.Number, n uint64) {
	switch num {
	case ackOffset:
		a.Offset = int64(n)
	case ackPolicy:
		a.AckPolicy = AckPolicy(n)
	case ackReceptionTime:
		a.ReceptionTime = int64(n)
	case ackCommitTime:
		a.CommitTime = int64(n)
	case ackError:
		a.Error = AckError(n)
	}
}
