package jetstream

import (
	"bytes"
	"strconv"
	"time"
)

// Republished is a message that a stream publishes again.
type Republished struct {
	Stream, Subject string
	Seq, Last       uint64 // Last is the sequence before it on its subject; 0: none
	Time            int64  // Unix ns
	Header          []byte // as it was stored
	Size            int    // of the data, told where it is left out; below 0: it is not
}

// AppendRepublished adds the header block of a message that is published again: its
// own headers, then where it is stored.
func AppendRepublished(dst []byte, r *Republished) []byte {
	if len(r.Header) > 0 {
		dst = append(dst, bytes.TrimSuffix(r.Header, []byte("\r\n"))...)
	} else {
		dst = append(dst, "NATS/1.0\r\n"...)
	}
	dst = append(append(dst, "Nats-Stream: "...), r.Stream...)
	dst = append(append(dst, "\r\nNats-Subject: "...), r.Subject...)
	dst = strconv.AppendUint(append(dst, "\r\nNats-Sequence: "...), r.Seq, 10)
	dst = time.Unix(0, r.Time).UTC().AppendFormat(append(dst, "\r\nNats-Time-Stamp: "...), time.RFC3339Nano)
	dst = strconv.AppendUint(append(dst, "\r\nNats-Last-Sequence: "...), r.Last, 10)
	if r.Size >= 0 {
		dst = strconv.AppendInt(append(dst, "\r\nNats-Msg-Size: "...), int64(r.Size), 10)
	}
	return append(dst, "\r\n\r\n"...)
}

// RepublishedBy says whether a header block has come from that stream's republishing
// already.
func RepublishedBy(block []byte, stream string) bool {
	return bytes.Contains(block, []byte("\r\nNats-Stream: "+stream+"\r\n"))
}

// checkTransform checks the mapping of what is stored.
func (c *StreamConfig) checkTransform(o StreamOptions) *Error {
	t := c.SubjectTransform
	if t == nil || o.Transform == nil {
		return nil
	}
	source, destination := o.Transform(t.Source, t.Destination)
	switch {
	case source != nil:
		return errText(CodeTransformSource, "%v", source)
	case destination != nil:
		return errText(CodeTransformDestination, "%v", destination)
	}
	return nil
}

// checkRepublish checks the mapping of what is published again: it must not come
// back.
func (c *StreamConfig) checkRepublish(o StreamOptions) *Error {
	r := c.Republish
	if r == nil {
		return nil
	}
	if o.Transform != nil {
		if source, destination := o.Transform(r.Source, r.Destination); source != nil || destination != nil {
			return invalidStream("the republish transform is not valid")
		}
	}
	if t := c.SubjectTransform; t != nil && r.Destination == ">" && len(c.Subjects) == 1 && c.Subjects[0] == t.Source {
		return nil // what is stored has other subjects than what is captured
	}
	for _, s := range c.Subjects {
		if r.Destination == "" || subjectsOverlap(wildcards(r.Destination), s) {
			return invalidStream("the republish destination forms a cycle with the stream's subjects")
		}
	}
	return nil
}

// wildcards puts a wildcard in the place of each token of a destination that is
// computed.
func wildcards(destination string) string {
	var out []byte
	for i, token := range bytes.Split([]byte(destination), []byte(".")) {
		if i > 0 {
			out = append(out, '.')
		}
		switch {
		case bytes.HasPrefix(token, []byte("{{")) && (bytes.Contains(bytes.ToLower(token), []byte("split")) || bytes.Contains(bytes.ToLower(token), []byte("slice"))):
			return string(append(out, '>')) // it may be several tokens
		case bytes.HasPrefix(token, []byte("{{")) || bytes.HasPrefix(token, []byte("$")):
			out = append(out, '*')
		default:
			out = append(out, token...)
		}
	}
	return string(out)
}
