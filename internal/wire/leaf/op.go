package leaf

// Kind is what an operation is.
type Kind uint8

// The operations.
const (
	OpMsg   Kind = iota // LMSG and HMSG
	OpSub               // LS+
	OpUnsub             // LS-
	OpPing
	OpPong
	OpInfo
	OpConnect
	OpErr
	OpOK
)

var verbs = [...]struct {
	name string
	kind Kind
}{
	{"LMSG", OpMsg}, {"HMSG", OpMsg}, {"LS+", OpSub}, {"LS-", OpUnsub}, {"PING", OpPing}, {"PONG", OpPong},
	{"INFO", OpInfo}, {"CONNECT", OpConnect}, {"-ERR", OpErr}, {"+OK", OpOK},
}

// Op is one operation. Its slices point into the buffer that was parsed.
type Op struct {
	Kind    Kind
	Subject []byte // of OpMsg a literal, of OpSub and OpUnsub a pattern
	Reply   []byte // nil: none
	// Groups are the queue groups that a message is for, one member of each. Their
	// backing is used again by the next Parse into the same Op.
	Groups [][]byte
	Queue  []byte // of OpSub and OpUnsub; nil: none
	Weight int32  // members of the queue group, at least 1; 0 without one
	Header []byte // a whole header block; nil: none
	Data   []byte
	// Tail is a message from behind the subject and its space to its end, where that is
	// written as clients are sent it: no groups, single spaces. Else it is nil.
	Tail []byte
	Arg  []byte // the document of OpInfo and OpConnect, the text of OpErr without its quotes
}
