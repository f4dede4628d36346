package nats

// Kind is the verb of an operation.
type Kind uint8

// The verbs that a client may send. OpInfo, OpOK and OpErr are for a server to
// send; from a client the first two mean nothing and the third ends it.
const (
	OpNone Kind = iota // no operation yet
	OpPub
	OpHPub
	OpSub
	OpUnsub
	OpPing
	OpPong
	OpConnect
	OpInfo
	OpOK
	OpErr
)

// String gives the verb as it is written.
func (k Kind) String() string {
	if k > OpNone && int(k) <= len(verbs) {
		return verbs[k-1].name
	}
	return "none"
}

// Op is one operation. Its slices point into the buffer that was parsed and are
// valid as long as that is unchanged; their capacity ends where they end.
type Op struct {
	Kind Kind

	// Subject and Reply are those of a publish. Subject and Queue are those of a
	// SUB, SID that of a SUB or UNSUB. What is absent is nil.
	Subject, Reply, Queue, SID []byte

	// Arg is the document of CONNECT and INFO or the text of -ERR, with its quotes.
	Arg []byte

	// Header is the header block of an HPUB, "NATS/1.0" and the closing empty line
	// included; it is not looked into. Data is the payload, without its CRLF. Data
	// of a publish is not nil even when it is empty.
	Header, Data []byte

	// Tail is the end of a publish: everything after the space behind the subject,
	// up to and including the payload's CRLF. It stands only where the line is
	// canonical (upper-case verb, single spaces, sizes without leading zeros, CRLF)
	// and is nil otherwise. "MSG subject sid " and the Tail of a PUB are a delivery,
	// as are "HMSG subject sid " and the Tail of an HPUB.
	Tail []byte

	// Max is the number of deliveries after which UNSUB takes effect, counted from
	// the SUB; 0 means at once.
	Max int
}
