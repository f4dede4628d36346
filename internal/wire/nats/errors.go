package nats

import "strconv"

// The reasons for which a connection is closed, as monitoring shows them.
const (
	ReasonProtocol       = "Protocol Violation"
	ReasonParse          = "Parse Error"
	ReasonAuthFailure    = "Authentication Failure"
	ReasonAuthTimeout    = "Authentication Timeout"
	ReasonAuthExpired    = "Authentication Expired"
	ReasonRevoked        = "Credentials Revoked"
	ReasonMissingAccount = "Missing Account"
	ReasonAccountConns   = "Maximum Account Connections Exceeded"
	ReasonConns          = "Maximum Connections Exceeded"
	ReasonSubs           = "Maximum Subscriptions Exceeded"
	ReasonPayload        = "Maximum Message Payload Exceeded"
	ReasonControlLine    = "Maximum Control Line Exceeded"
	ReasonStale          = "Stale Connection"
	ReasonTLS            = "TLS Handshake Failure"
	ReasonVersion        = "Bad Client Protocol Version"
	ReasonNoResponders   = "No Responders Requires Headers"
	ReasonWrongPort      = "Incorrect Port"
	ReasonClient         = "Client Closed"
	ReasonRead           = "Read Error"
	ReasonWrite          = "Write Error"
	ReasonSlowPending    = "Slow Consumer (Pending Bytes)"
	ReasonSlowDeadline   = "Slow Consumer (Write Deadline)"
	ReasonShutdown       = "Server Shutdown"
	ReasonKicked         = "Kicked"
)

// Error is a refusal as the protocol knows it. Errors are compared by pointer.
type Error struct {
	// Text stands between the quotes of -ERR. Where it is empty the client is
	// told nothing.
	Text string
	// Reason is why the connection is closed. Where it is empty the connection
	// stays open.
	Reason string
	// Cause is what the log says where Text does not say enough.
	Cause string
}

// Error gives the cause, or else the text.
func (e *Error) Error() string {
	if e.Cause != "" {
		return e.Cause
	}
	return e.Text
}

// Closes says whether the connection is closed after the error was sent.
func (e *Error) Closes() bool { return e.Reason != "" }

// Errors that the parser and Connect give. Each closes the connection.
var (
	ErrUnknownOperation = &Error{Text: "Unknown Protocol Operation", Reason: ReasonProtocol}
	ErrControlLine      = &Error{Text: "maximum control line exceeded", Reason: ReasonControlLine}
	ErrMaxPayload       = &Error{Text: "Maximum Payload Violation", Reason: ReasonPayload}
	ErrPubArguments     = &Error{Reason: ReasonProtocol, Cause: "malformed PUB arguments"}
	ErrHPubArguments    = &Error{Reason: ReasonProtocol, Cause: "malformed HPUB arguments"}
	ErrSubArguments     = &Error{Reason: ReasonProtocol, Cause: "malformed SUB arguments"}
	ErrUnsubArguments   = &Error{Reason: ReasonProtocol, Cause: "malformed UNSUB arguments"}
	ErrConnectJSON      = &Error{Reason: ReasonProtocol, Cause: "malformed CONNECT document"}
	ErrClientProtocol   = &Error{Text: "invalid client protocol", Reason: ReasonVersion}
	ErrNoRespHeaders    = &Error{Text: "no responders requires headers support", Reason: ReasonNoResponders}
	ErrAccountField     = &Error{Text: "Authorization Violation", Reason: ReasonAuthFailure, Cause: "obsolete account field in CONNECT"}
)

// Errors that a door gives and that close the connection.
var (
	ErrAuthorization   = &Error{Text: "Authorization Violation", Reason: ReasonAuthFailure}
	ErrAuthTimeout     = &Error{Text: "Authentication Timeout", Reason: ReasonAuthTimeout}
	ErrUserExpired     = &Error{Text: "User Authentication Expired", Reason: ReasonAuthExpired}
	ErrUserRevoked     = &Error{Text: "User Authentication Revoked", Reason: ReasonRevoked}
	ErrAccountExpired  = &Error{Text: "Account Authentication Expired", Reason: ReasonAuthExpired}
	ErrAccountBinding  = &Error{Text: "Failed Account Registration", Reason: ReasonMissingAccount}
	ErrAccountConns    = &Error{Text: "maximum account active connections exceeded", Reason: ReasonAccountConns}
	ErrMaxConns        = &Error{Text: "maximum connections exceeded", Reason: ReasonConns}
	ErrStale           = &Error{Text: "Stale Connection", Reason: ReasonStale}
	ErrTLSRequired     = &Error{Text: "Secure Connection - TLS Required", Reason: ReasonTLS}
	ErrThrottled       = &Error{Text: "Connection throttling is active. Please try again later.", Reason: ReasonTLS}
	ErrRoutePort       = &Error{Text: "attempted to connect to route port", Reason: ReasonWrongPort}
	ErrLeafPort        = &Error{Text: "attempted to connect to leaf node port", Reason: ReasonWrongPort}
	ErrGatewayPort     = &Error{Text: "attempted to connect to gateway port", Reason: ReasonWrongPort}
	ErrHeadersDisabled = &Error{Reason: ReasonProtocol, Cause: "message headers not supported"}
	ErrClientSentErr   = &Error{Reason: ReasonParse, Cause: "-ERR received from client"}
)

// Errors that a door gives and after which the connection stays open.
var (
	ErrMaxSubs        = &Error{Text: "maximum subscriptions exceeded"}
	ErrPublishSubject = &Error{Text: "Invalid Publish Subject"}
	ErrSubject        = &Error{Text: "Invalid Subject"}
)

// PublishViolation is the text for a publish that permissions deny.
func PublishViolation(subject string) string {
	return violation("Publish to ", subject)
}

// ReplyViolation is the text for a publish whose reply subject is reserved.
func ReplyViolation(reply string) string {
	return violation("Publish with Reply of ", reply)
}

// SubscribeViolation is the text for a subscription that permissions deny; queue
// is empty for a plain one.
func SubscribeViolation(subject, queue string) string {
	text := violation("Subscription to ", subject)
	if queue != "" {
		text += " using queue " + strconv.Quote(queue)
	}
	return text
}

// RemovedViolation is the text for a subscription that was allowed once and is
// removed because permissions changed; queue is empty for a plain one.
func RemovedViolation(subject, queue, sid string) string {
	return SubscribeViolation(subject, queue) + " (sid " + strconv.Quote(sid) + ")"
}

// TokensViolation is the text for a subscription with more tokens than allowed.
func TokensViolation(subject string) string {
	return violation("Subscription to ", subject) + ", too many tokens"
}

func violation(what, subject string) string {
	return "Permissions Violation for " + what + strconv.Quote(subject)
}
