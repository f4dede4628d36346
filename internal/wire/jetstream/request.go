package jetstream

import "strings"

// Kind says what an API request asks for.
type Kind uint8

// The kinds, in the order of the table below.
const (
	KindUnknown Kind = iota
	KindAccountInfo
	KindStreamCreate
	KindStreamUpdate
	KindStreamNames
	KindStreamList
	KindStreamInfo
	KindStreamDelete
	KindStreamPurge
	KindMsgDelete
	KindMsgGet
	KindStreamSnapshot
	KindStreamRestore
	KindStreamPeerRemove
	KindStreamPeerEvacuate
	KindStreamCancelMove
	KindStreamStepdown
	KindConsumerCreate       // named in the subject, with or without a filter
	KindConsumerCreateLegacy // ephemeral: the subject names the stream only
	KindConsumerCreateDurable
	KindConsumerNames
	KindConsumerList
	KindConsumerInfo
	KindConsumerDelete
	KindConsumerPause
	KindConsumerUnpin
	KindConsumerReset
	KindConsumerStepdown
	KindConsumerPeerEvacuate
	KindMsgNext
	KindDirectGet
	KindDirectGetLast // the last message of the subject that ends the request's
	KindMetaStepdown
	KindServerRemove
	KindServerEvacuate
	KindMetaRescue
	KindAccountPurge
	KindAccountMove
	KindAccountCancelMove
	kindCount
)

// Body says what a request's body may be.
type Body uint8

// Bodies.
const (
	BodyIgnored  Body = iota
	BodyEmpty         // anything else than nothing or {} is refused
	BodyOptional      // read only when it begins like JSON
	BodyRequired
	BodyRaw // has a syntax of its own
)

// APIPrefix begins the subject of every request outside a domain.
const APIPrefix = "$JS.API."

// row describes one kind of request: its subject after the prefix, where {name}
// is one token and {subject...} is the rest, the type of its response between
// responsePrefix and responseSuffix, and its body.
type row struct {
	pattern  string
	response string
	body     Body
}

const (
	responsePrefix = "io.nats.jetstream.api.v1."
	responseSuffix = "_response"
)

var rows = [kindCount]row{
	KindUnknown:               {"", "system", BodyIgnored},
	KindAccountInfo:           {"INFO", "account_info", BodyIgnored},
	KindStreamCreate:          {"STREAM.CREATE.{stream}", "stream_create", BodyRequired},
	KindStreamUpdate:          {"STREAM.UPDATE.{stream}", "stream_update", BodyRequired},
	KindStreamNames:           {"STREAM.NAMES", "stream_names", BodyOptional},
	KindStreamList:            {"STREAM.LIST", "stream_list", BodyOptional},
	KindStreamInfo:            {"STREAM.INFO.{stream}", "stream_info", BodyOptional},
	KindStreamDelete:          {"STREAM.DELETE.{stream}", "stream_delete", BodyEmpty},
	KindStreamPurge:           {"STREAM.PURGE.{stream}", "stream_purge", BodyOptional},
	KindMsgDelete:             {"STREAM.MSG.DELETE.{stream}", "stream_msg_delete", BodyRequired},
	KindMsgGet:                {"STREAM.MSG.GET.{stream}", "stream_msg_get", BodyRequired},
	KindStreamSnapshot:        {"STREAM.SNAPSHOT.{stream}", "stream_snapshot", BodyRequired},
	KindStreamRestore:         {"STREAM.RESTORE.{stream}", "stream_restore", BodyRequired},
	KindStreamPeerRemove:      {"STREAM.PEER.REMOVE.{stream}", "stream_remove_peer", BodyRequired},
	KindStreamPeerEvacuate:    {"STREAM.PEER.EVACUATE.{stream}", "stream_evacuate_peer", BodyRequired},
	KindStreamCancelMove:      {"STREAM.CANCEL_MOVE.{stream}", "stream_cancel_move", BodyEmpty},
	KindStreamStepdown:        {"STREAM.LEADER.STEPDOWN.{stream}", "stream_leader_stepdown", BodyOptional},
	KindConsumerCreate:        {"CONSUMER.CREATE.{stream}.{consumer}.{subject...}", "consumer_create", BodyRequired},
	KindConsumerCreateLegacy:  {"CONSUMER.CREATE.{stream}", "consumer_create", BodyRequired},
	KindConsumerCreateDurable: {"CONSUMER.DURABLE.CREATE.{stream}.{consumer}", "consumer_create", BodyRequired},
	KindConsumerNames:         {"CONSUMER.NAMES.{stream}", "consumer_names", BodyOptional},
	KindConsumerList:          {"CONSUMER.LIST.{stream}", "consumer_list", BodyOptional},
	KindConsumerInfo:          {"CONSUMER.INFO.{stream}.{consumer}", "consumer_info", BodyEmpty},
	KindConsumerDelete:        {"CONSUMER.DELETE.{stream}.{consumer}", "consumer_delete", BodyEmpty},
	KindConsumerPause:         {"CONSUMER.PAUSE.{stream}.{consumer}", "consumer_pause", BodyOptional},
	KindConsumerUnpin:         {"CONSUMER.UNPIN.{stream}.{consumer}", "consumer_unpin", BodyRequired},
	KindConsumerReset:         {"CONSUMER.RESET.{stream}.{consumer}", "consumer_reset", BodyOptional},
	KindConsumerStepdown:      {"CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}", "consumer_leader_stepdown", BodyOptional},
	KindConsumerPeerEvacuate:  {"CONSUMER.PEER.EVACUATE.{stream}.{consumer}", "consumer_evacuate_peer", BodyRequired},
	KindMsgNext:               {"CONSUMER.MSG.NEXT.{stream}.{consumer}", "", BodyRaw},
	KindDirectGet:             {"DIRECT.GET.{stream}", "", BodyRaw},
	KindDirectGetLast:         {"DIRECT.GET.{stream}.{subject...}", "", BodyRaw},
	KindMetaStepdown:          {"META.LEADER.STEPDOWN", "meta_leader_stepdown", BodyOptional},
	KindServerRemove:          {"SERVER.REMOVE", "meta_server_remove", BodyRequired},
	KindServerEvacuate:        {"SERVER.EVACUATE", "meta_server_remove", BodyRequired},
	KindMetaRescue:            {"META.RESCUE", "meta_rescue", BodyRequired},
	KindAccountPurge:          {"ACCOUNT.PURGE.{account}", "account_purge", BodyEmpty},
	KindAccountMove:           {"ACCOUNT.STREAM.MOVE.{account}.{stream}", "stream_update", BodyRequired},
	KindAccountCancelMove:     {"ACCOUNT.STREAM.CANCEL_MOVE.{account}.{stream}", "stream_update", BodyEmpty},
}

// Request is what the subject of an API request says. Filter is the rest of the
// subject after the fixed tokens: a consumer's filter or a direct get's subject.
type Request struct {
	Kind     Kind
	Stream   string
	Consumer string
	Filter   string
	Account  string
}

// ParseRequest reads the subject of an API request, in the domain or outside any.
// It is false for a subject that is not an API request at all; a request that
// nobody defined is KindUnknown, true.
func ParseRequest(subject, domain string) (Request, bool) {
	rest, ok := strings.CutPrefix(subject, APIPrefix)
	if !ok && domain != "" {
		if rest, ok = strings.CutPrefix(subject, "$JS."); ok {
			if rest, ok = strings.CutPrefix(rest, domain); ok {
				rest, ok = strings.CutPrefix(rest, ".API.")
			}
		}
	}
	if !ok {
		return Request{}, false
	}
	for k := KindAccountInfo; k < kindCount; k++ {
		if r, ok := matchRow(rows[k].pattern, rest); ok {
			r.Kind = k
			return r, true
		}
	}
	return Request{}, true
}

// matchRow compares a subject's rest with a row's pattern, token by token. The
// filter at the end of a consumer's creation may be missing.
func matchRow(pattern, rest string) (r Request, ok bool) {
	more, pmore := true, true
	for pmore {
		var want, token string
		want, pattern, pmore = strings.Cut(pattern, ".")
		// "{subject...}" holds dots of its own and always ends the pattern.
		if strings.HasPrefix(want, "{subject") {
			r.Filter = rest
			return r, more && rest != "" || !more && r.Consumer != ""
		}
		if !more {
			return Request{}, false
		}
		token, rest, more = strings.Cut(rest, ".")
		if token == "" {
			return Request{}, false
		}
		switch want {
		case "{stream}":
			r.Stream = token
		case "{consumer}":
			r.Consumer = token
		case "{account}":
			r.Account = token
		default:
			if token != want {
				return Request{}, false
			}
		}
	}
	return r, !more
}

// ParseMsgNext reads the subject of a pull request outside a domain without
// allocating.
func ParseMsgNext(subject []byte) (stream, consumer []byte, ok bool) {
	const prefix = APIPrefix + "CONSUMER.MSG.NEXT."
	if len(subject) <= len(prefix) || string(subject[:len(prefix)]) != prefix {
		return nil, nil, false
	}
	rest := subject[len(prefix):]
	dot := -1
	for i, c := range rest {
		if c != '.' {
			continue
		}
		if dot >= 0 {
			return nil, nil, false
		}
		dot = i
	}
	if dot <= 0 || dot == len(rest)-1 {
		return nil, nil, false
	}
	return rest[:dot], rest[dot+1:], true
}

// Type is the type string of the kind's response, "" where no JSON answers.
func (k Kind) Type() string {
	if k >= kindCount {
		k = KindUnknown
	}
	if rows[k].response == "" {
		return ""
	}
	return responsePrefix + rows[k].response + responseSuffix
}

// Body says what the kind's body may be.
func (k Kind) Body() Body {
	if k >= kindCount {
		return BodyIgnored
	}
	return rows[k].body
}

// Name is the kind's subject without its variable tokens, for logs and metrics.
func (k Kind) Name() string {
	if k == KindUnknown || k >= kindCount {
		return "UNKNOWN"
	}
	name, _, _ := strings.Cut(rows[k].pattern, ".{")
	return name
}

// System says whether only callers of the system account may ask; others get no
// answer.
func (k Kind) System() bool { return k >= KindMetaStepdown && k < kindCount }

// Unserved is the error with which this server answers a kind it does not serve:
// what needs a cluster, and what is not built yet. It is nil for the others.
func (k Kind) Unserved() *Error {
	switch k {
	case KindUnknown:
		return Err(CodeBadRequest)
	case KindStreamPeerRemove, KindStreamPeerEvacuate, KindStreamCancelMove,
		KindStreamStepdown, KindConsumerStepdown, KindConsumerPeerEvacuate:
		return Err(CodeClusterRequired)
	}
	return nil
}
