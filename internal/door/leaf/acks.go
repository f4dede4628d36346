package leaf

import (
	"bytes"
	"strings"

	"github.com/weirmq/weir/internal/broker"
)

// ackPrefix begins the subjects of acknowledgements of deliveries.
const ackPrefix = "$JS.ACK."

const (
	shortAck = 7 // tokens behind the prefix of a subject without a domain
	// ackAccount stands where others have a hash of the account, which nobody reads.
	ackAccount = ".weir."
)

// Acknowledgements lead to whatever consumer has their stream's and consumer's names, on
// both sides of a link. So that they reach the one that delivered, the subjects of those
// that cross name its domain: those of deliveries from here as clients know it, those of
// deliveries from there only on this side of the link.

// ackReply appends the subject that a delivery from here is acknowledged at from there.
func (l *link) ackReply(dst, reply []byte) []byte {
	return appendDomain(dst, reply, l.remote.door.o.Domain)
}

// appendDomain appends a subject of acknowledgements with a domain, if it has none yet.
func appendDomain(dst, reply []byte, domain string) []byte {
	rest := reply[len(ackPrefix):]
	if domain == "" || bytes.Count(rest, []byte{'.'}) != shortAck-1 {
		return append(dst, reply...)
	}
	dst = append(append(append(dst, ackPrefix...), domain...), ackAccount...)
	return append(dst, rest...)
}

// theirDomain is JetStream's there, if it can be told from the one here.
func (l *link) theirDomain() string {
	if !l.info.JetStream || l.info.Domain == l.remote.door.o.Domain {
		return ""
	}
	return l.info.Domain
}

// setAcks notes where acknowledgements of deliveries from there come along here.
func (l *link) setAcks() {
	if d := l.theirDomain(); d != "" {
		l.acks = []byte(ackPrefix + d + ackAccount)
	}
}

// wantAcks subscribes to them.
func (w *wanted) wantAcks() {
	if w.link.acks == nil {
		return
	}
	sub := &broker.Subscription{Subject: string(w.link.acks) + ">", Kind: broker.KindClient, Far: true, Sink: w.link}
	w.mu.Lock()
	w.subs[interest{subject: sub.Subject}] = sub
	w.mu.Unlock()
	w.link.remote.space.Subscribe(sub)
}

// theirAck appends to dst the subject there of an acknowledgement; ok is false where it
// is none, or none of a delivery from there.
func (l *link) theirAck(dst, to []byte) (subject []byte, ok bool) {
	rest, ok := bytes.CutPrefix(to, l.acks)
	if !ok || l.acks == nil {
		return dst, false
	}
	return append(append(dst, ackPrefix...), rest...), true
}

// renames says whether what a pattern stands for has other subjects here: those of
// acknowledgements of the other side's deliveries without a domain.
func (l *link) renames(pattern string) bool {
	rest, ok := strings.CutPrefix(pattern, ackPrefix)
	return ok && l.acks != nil && strings.Count(rest, ".") == shortAck-1
}
