package nats

import "strconv"

// AppendMsg appends a message without headers. reply may be empty.
func AppendMsg(dst, subject, sid, reply, data []byte) []byte {
	dst = AppendMsgHead(dst, subject, sid, reply, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendHMsg appends a message with the header block hdr, which ends with its
// empty line. reply may be empty.
func AppendHMsg(dst, subject, sid, reply, hdr, data []byte) []byte {
	dst = AppendHMsgHead(dst, subject, sid, reply, len(hdr), len(hdr)+len(data))
	dst = append(dst, hdr...)
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendMsgHead appends the control line of a message of size bytes. The payload
// and its CRLF are to follow.
func AppendMsgHead(dst, subject, sid, reply []byte, size int) []byte {
	dst = appendReply(AppendMsgPrefix(dst, subject, sid), reply)
	dst = strconv.AppendUint(dst, uint64(size), 10)
	return append(dst, "\r\n"...)
}

// AppendHMsgHead appends the control line of a message with a header block of
// header bytes; total counts the payload, too. Header block, payload and CRLF are
// to follow.
func AppendHMsgHead(dst, subject, sid, reply []byte, header, total int) []byte {
	dst = appendReply(AppendHMsgPrefix(dst, subject, sid), reply)
	dst = strconv.AppendUint(dst, uint64(header), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(total), 10)
	return append(dst, "\r\n"...)
}

// AppendMsgTail appends the delivery of a PUB whose Op.Tail is tail.
func AppendMsgTail(dst, subject, sid, tail []byte) []byte {
	return append(AppendMsgPrefix(dst, subject, sid), tail...)
}

// AppendHMsgTail appends the delivery of an HPUB whose Op.Tail is tail.
func AppendHMsgTail(dst, subject, sid, tail []byte) []byte {
	return append(AppendHMsgPrefix(dst, subject, sid), tail...)
}

// AppendMsgPrefix appends "MSG subject sid ".
func AppendMsgPrefix(dst, subject, sid []byte) []byte {
	return appendPrefix(append(dst, "MSG "...), subject, sid)
}

// AppendHMsgPrefix appends "HMSG subject sid ".
func AppendHMsgPrefix(dst, subject, sid []byte) []byte {
	return appendPrefix(append(dst, "HMSG "...), subject, sid)
}

func appendPrefix(dst, subject, sid []byte) []byte {
	dst = append(dst, subject...)
	dst = append(dst, ' ')
	dst = append(dst, sid...)
	return append(dst, ' ')
}

func appendReply(dst, reply []byte) []byte {
	if len(reply) == 0 {
		return dst
	}
	return append(append(dst, reply...), ' ')
}

// AppendNoResponders appends what tells a requester that nobody got its message:
// a message to its own subscription sid, on its reply subject, with status 503 and
// the subject that it published to.
func AppendNoResponders(dst, reply, sid, subject []byte) []byte {
	const before, after = "NATS/1.0 503\r\nNats-Subject: ", "\r\n\r\n"
	size := len(before) + len(subject) + len(after)
	dst = AppendHMsgHead(dst, reply, sid, nil, size, size)
	dst = append(dst, before...)
	dst = append(dst, subject...)
	dst = append(dst, after...)
	return append(dst, "\r\n"...)
}

// AppendErr appends -ERR with text, which stands between single quotes as it is.
func AppendErr(dst []byte, text string) []byte {
	dst = append(dst, "-ERR '"...)
	dst = append(dst, text...)
	return append(dst, "'\r\n"...)
}

// AppendOK appends +OK.
func AppendOK(dst []byte) []byte { return append(dst, "+OK\r\n"...) }

// AppendPing appends PING.
func AppendPing(dst []byte) []byte { return append(dst, "PING\r\n"...) }

// AppendPong appends PONG.
func AppendPong(dst []byte) []byte { return append(dst, "PONG\r\n"...) }
