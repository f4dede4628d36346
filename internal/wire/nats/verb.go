package nats

// verb is how an operation begins.
type verb struct {
	name string
	kind Kind
	next follow
}

// follow is what may stand directly behind a verb.
type follow uint8

const (
	followSpace    follow = iota // a space or tab
	followEnd                    // that or the end of the line
	followAnything               // the arguments themselves, too
)

// verbs stand in the order of their Kind.
var verbs = [...]verb{
	{"PUB", OpPub, followSpace},
	{"HPUB", OpHPub, followSpace},
	{"SUB", OpSub, followSpace},
	{"UNSUB", OpUnsub, followSpace},
	{"PING", OpPing, followEnd},
	{"PONG", OpPong, followEnd},
	{"CONNECT", OpConnect, followAnything},
	{"INFO", OpInfo, followAnything},
	{"+OK", OpOK, followEnd},
	{"-ERR", OpErr, followSpace},
}

// mayPrecede says whether c may stand behind the verb.
func (v *verb) mayPrecede(c byte) bool {
	switch c {
	case ' ', '\t':
		return true
	case '\r', '\n':
		return v.next >= followEnd
	}
	return v.next == followAnything
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
