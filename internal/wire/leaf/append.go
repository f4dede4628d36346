package leaf

import "strconv"

// AppendMsg appends a message. reply and header may be empty; groups are the queue
// groups of which one member each is to get it.
func AppendMsg(dst, subject, reply []byte, groups []string, header, data []byte) []byte {
	verb := "LMSG "
	if len(header) > 0 {
		verb = "HMSG "
	}
	dst = append(append(append(dst, verb...), subject...), ' ')
	dst = appendRoute(dst, reply, groups)
	if len(header) > 0 {
		dst = append(strconv.AppendUint(dst, uint64(len(header)), 10), ' ')
	}
	dst = strconv.AppendUint(dst, uint64(len(header)+len(data)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(append(dst, header...), data...)
	return append(dst, "\r\n"...)
}

// appendRoute appends where answers go and which groups a message is for, with a space
// behind.
func appendRoute(dst, reply []byte, groups []string) []byte {
	switch {
	case len(groups) > 0 && len(reply) > 0:
		dst = append(dst, "+ "...)
	case len(groups) > 0:
		dst = append(dst, "| "...)
	}
	if len(reply) > 0 {
		dst = append(append(dst, reply...), ' ')
	}
	for _, g := range groups {
		dst = append(append(dst, g...), ' ')
	}
	return dst
}

// AppendSub appends an interest. weight says how many members a queue group has; without
// one it means nothing.
func AppendSub(dst []byte, subject, queue string, weight int) []byte {
	dst = append(append(dst, "LS+ "...), subject...)
	if queue != "" {
		dst = append(append(append(dst, ' '), queue...), ' ')
		dst = strconv.AppendInt(dst, int64(weight), 10)
	}
	return append(dst, "\r\n"...)
}

// AppendUnsub appends the end of an interest.
func AppendUnsub(dst []byte, subject, queue string) []byte {
	dst = append(append(dst, "LS- "...), subject...)
	if queue != "" {
		dst = append(append(dst, ' '), queue...)
	}
	return append(dst, "\r\n"...)
}

// AppendErr appends -ERR with a text in quotes.
func AppendErr(dst []byte, text string) []byte {
	return append(append(append(dst, "-ERR '"...), text...), "'\r\n"...)
}

// AppendPing appends PING.
func AppendPing(dst []byte) []byte { return append(dst, "PING\r\n"...) }

// AppendPong appends PONG.
func AppendPong(dst []byte) []byte { return append(dst, "PONG\r\n"...) }
