package nats

// verb is how an operation begins.
type verb struct {
	name string
	kind Kind
	args bool // a separator and arguments must follow
}

// verbs stand in the order of their Kind.
var verbs = [...]verb{
	{"PUB", OpPub, true},
	{"HPUB", OpHPub, true},
	{"SUB", OpSub, true},
	{"UNSUB", OpUnsub, true},
	{"PING", OpPing, false},
	{"PONG", OpPong, false},
	{"CONNECT", OpConnect, true},
	{"INFO", OpInfo, true},
	{"+OK", OpOK, false},
	{"-ERR", OpErr, true},
}

// findVerb gives the verb that buf begins with, in any case. It gives nil and true
// while buf may still become one, and false once it cannot.
func findVerb(buf []byte) (v *verb, possible bool) {
	for i := range verbs {
		name := verbs[i].name
		if len(buf) >= len(name) {
			if equalFold(buf[:len(name)], name) {
				return &verbs[i], true
			}
		} else if equalFold(buf, name[:len(buf)]) {
			possible = true
		}
	}
	return nil, possible
}

// equalFold compares b with upper, of the same length, in which letters are in
// upper case.
func equalFold(b []byte, upper string) bool {
	for i := range b {
		c := b[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
