package jetstream

import (
	"bytes"
	"crypto/sha256"
	"strconv"
	"strings"
)

// Errors of mirrors and sources. Those with a placeholder in their text say which.
const (
	CodeStreamExternalAPIOverlap     = 10021 // {prefix}, {subject}
	CodeStreamExternalDeliverOverlap = 10022 // {prefix}, {subject}
	CodeStreamExternalDeliverInvalid = 10024 // {prefix}
	CodeMirrorConsumerSetupFailed    = 10029 // {err}
	CodeMirrorMaxMsgSize             = 10030
	CodeMirrorWithStartSeqAndTime    = 10032
	CodeSourceConsumerSetupFailed    = 10045 // {err}
	CodeSourceMaxMsgSize             = 10046
	CodeSourceDuplicate              = 10140
	CodeSourceInvalidName            = 10141
	CodeMirrorInvalidName            = 10142
	CodeSourceMultipleFilters        = 10144
	CodeSourceInvalidFilter          = 10145 // {err}
	CodeSourceInvalidTransform       = 10146 // {err}
	CodeSourceOverlappingFilters     = 10147
	CodeMirrorMultipleFilters        = 10150
	CodeMirrorInvalidFilter          = 10151 // {err}
	CodeMirrorOverlappingFilters     = 10152
	CodeMirrorInvalidTransform       = 10154 // {err}
	CodeMirrorWithCounters           = 10173
	CodeMirrorWithSchedules          = 10186
	CodeSourceWithSchedules          = 10187
	CodeMirrorWithAtomicPublish      = 10198
	CodeMirrorWithBatchPublish       = 10209
	CodeMirrorConsumerInvalid        = 10213
	CodeMirrorConsumerNeedsFlow      = 10214
	CodeSourceConsumerInvalid        = 10215
	CodeSourceConsumerNeedsFlow      = 10217
	CodeSourceConsumerDuplicate      = 10216
)

// originCodes are the errors of a mirror, or of a source, for the same faults.
type originCodes struct{ filters, filter, transform, overlap int }

var (
	mirrorCodes = originCodes{CodeMirrorMultipleFilters, CodeMirrorInvalidFilter, CodeMirrorInvalidTransform, CodeMirrorOverlappingFilters}
	sourceCodes = originCodes{CodeSourceMultipleFilters, CodeSourceInvalidFilter, CodeSourceInvalidTransform, CodeSourceOverlappingFilters}
)

// checkMirror makes a mirror's checks in their order.
func (c *StreamConfig) checkMirror(o StreamOptions) *Error {
	m := c.Mirror
	if m == nil {
		return nil
	}
	for _, r := range [...]struct {
		broken bool
		code   int
	}{
		{c.FirstSeq > 0, CodeMirrorWithFirstSeq},
		{len(c.Subjects) > 0, CodeMirrorWithSubjects},
		{len(c.Sources) > 0, CodeMirrorWithSources},
		{c.AllowMsgCounter, CodeMirrorWithCounters},
		{c.AllowAtomicPublish, CodeMirrorWithAtomicPublish},
		{c.AllowBatchPublish, CodeMirrorWithBatchPublish},
		{c.AllowMsgSchedules, CodeMirrorWithSchedules},
		{!m.validConsumer(), CodeMirrorConsumerInvalid},
		{m.FilterSubject != "" && len(m.SubjectTransforms) > 0, mirrorCodes.filters},
	} {
		if r.broken {
			return Err(r.code)
		}
	}
	if c.SubjectDeleteMarkerTTL > 0 {
		return invalidStream("subject delete markers are forbidden on mirrors")
	}
	if err := m.checkTransforms(o, mirrorCodes); err != nil {
		return err
	}
	if !ValidName(m.Name) {
		return Err(CodeMirrorInvalidName)
	}
	return nil
}

// checkSources makes the checks of sources in their order.
func (c *StreamConfig) checkSources(o StreamOptions) *Error {
	if len(c.Sources) == 0 {
		return nil
	}
	if c.AllowMsgSchedules {
		return Err(CodeSourceWithSchedules)
	}
	keys, consumers := map[string]bool{}, map[SourceConsumer]bool{}
	for _, s := range c.Sources {
		if s == nil || !ValidName(s.Name) {
			return Err(CodeSourceInvalidName)
		}
		k := s.Key()
		if keys[k] {
			return Err(CodeSourceDuplicate)
		}
		keys[k] = true
		if s.FilterSubject != "" && len(s.SubjectTransforms) > 0 {
			return Err(sourceCodes.filters)
		}
		if err := s.checkTransforms(o, sourceCodes); err != nil {
			return err
		}
		switch {
		case !s.validConsumer():
			return Err(CodeSourceConsumerInvalid)
		case s.Consumer != nil && consumers[*s.Consumer]:
			return Err(CodeSourceConsumerDuplicate)
		case s.Consumer != nil:
			consumers[*s.Consumer] = true
		}
	}
	return nil
}

// validConsumer says whether the consumer made beforehand, if there is one, can be
// one.
func (s *StreamSource) validConsumer() bool {
	c := s.Consumer
	if c == nil {
		return true
	}
	return ValidName(c.Name) && literalSubject(c.DeliverSubject) &&
		s.OptStartSeq == 0 && s.OptStartTime == nil && s.FilterSubject == "" && len(s.SubjectTransforms) == 0
}

func (s *StreamSource) checkTransforms(o StreamOptions, codes originCodes) *Error {
	if s.FilterSubject != "" && !validSubject(s.FilterSubject) {
		return errText(codes.filter, "invalid subject %q", s.FilterSubject)
	}
	var sources []string
	for _, t := range s.SubjectTransforms {
		if o.Transform != nil {
			source, destination := o.Transform(t.Source, t.Destination)
			switch {
			case source != nil:
				return errText(codes.filter, "%v", source)
			case destination != nil:
				return errText(codes.transform, "%v", destination)
			}
		}
		source := t.Source
		if source == "" {
			source = ">"
		}
		for _, other := range sources {
			if subjectsOverlap(source, other) {
				return Err(codes.overlap)
			}
		}
		sources = append(sources, source)
	}
	return nil
}

// checkExternals checks how streams elsewhere are to be reached.
func (c *StreamConfig) checkExternals() *Error {
	all := c.Sources
	if c.Mirror != nil {
		all = []*StreamSource{c.Mirror}
	}
	for _, s := range all {
		e := s.External
		if e == nil {
			continue
		}
		if e.DeliverPrefix != "" {
			if !literalSubject(e.DeliverPrefix) {
				return ErrWith(CodeStreamExternalDeliverInvalid, "prefix", e.DeliverPrefix)
			}
			for _, subj := range c.Subjects {
				if subjectsOverlap(subj, e.DeliverPrefix+".>") {
					return ErrWith(CodeStreamExternalDeliverOverlap, "prefix", e.DeliverPrefix, "subject", subj)
				}
			}
		}
		switch {
		case e.APIPrefix == "":
		case !literalSubject(e.APIPrefix):
			return invalidStream("stream external api prefix %q must be a valid subject without wildcards", e.APIPrefix)
		case e.APIPrefix+"." == APIPrefix:
			return ErrWith(CodeStreamExternalAPIOverlap, "prefix", e.APIPrefix, "subject", e.APIPrefix)
		}
	}
	return nil
}

// Local says whether the stream is one of the same account of a server in a domain.
func (s *StreamSource) Local(domain string) bool {
	return s.External == nil || s.External.APIPrefix == "" || domain != "" && s.External.APIPrefix == "$JS."+domain+".API"
}

// Key tells the sources of a stream apart, and stands in the header of what they
// bring: the name, the filters and what they are mapped to.
func (s *StreamSource) Key() string {
	name, filter, dest := s.Name, s.FilterSubject, ""
	if s.External != nil {
		name += ":" + hashName(s.External.APIPrefix)
	}
	if len(s.SubjectTransforms) > 0 {
		var from, to []string
		for _, t := range s.SubjectTransforms {
			from, to = append(from, orAll(t.Source)), append(to, orAll(t.Destination))
		}
		filter, dest = strings.Join(from, "\f"), strings.Join(to, "\f")
	}
	return name + " " + orAll(filter) + " " + orAll(dest)
}

func orAll(s string) string {
	if s == "" {
		return ">"
	}
	return s
}

// sourcedDrops are the beginnings of the keys that a message of a source does not
// keep.
var sourcedDrops = [...]string{"Nats-Stream-Source:", "Nats-Expected-", "Nats-Batch-"}

// AppendSourced adds the header block of a message that a source brings: its own,
// without what was about storing it, and where it comes from. key is the source's,
// see StreamSource.Key.
func AppendSourced(dst, block []byte, key string, seq uint64, subject []byte) []byte {
	rest := block
	if i := bytes.Index(block, []byte("\r\n")); i >= 0 {
		rest = block[i+2:]
	}
	dst = append(dst, "NATS/1.0\r\n"...)
	for len(rest) > 0 {
		line := rest
		if i := bytes.Index(rest, []byte("\r\n")); i >= 0 {
			line = rest[:i]
		}
		rest = rest[min(len(line)+2, len(rest)):]
		if len(line) > 0 && !sourcedDropped(line) {
			dst = append(append(dst, line...), "\r\n"...)
		}
	}
	name, filters, _ := strings.Cut(key, " ")
	dst = append(append(dst, "Nats-Stream-Source: "...), name...)
	dst = strconv.AppendUint(append(dst, ' '), seq, 10)
	dst = append(append(append(dst, ' '), filters...), ' ')
	return append(append(dst, subject...), "\r\n\r\n"...)
}

func sourcedDropped(line []byte) bool {
	for _, prefix := range sourcedDrops {
		if len(line) >= len(prefix) && string(line[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// hashName is a short name for any text.
func hashName(s string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(s))
	out := make([]byte, 8)
	for i := range out {
		out[i] = digits[int(sum[i])%len(digits)]
	}
	return string(out)
}
