package stan

import "strconv"

// Texts that servers answer with. Clients compare them letter by letter.
const (
	InvalidSubject     = "stan: invalid subject"
	InvalidStart       = "stan: invalid start position"
	InvalidSub         = "stan: invalid subscription"
	ClientRegistered   = "stan: clientID already registered"
	MissingClient      = "stan: clientID missing"
	InvalidClientID    = "stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed"
	InvalidAckWait     = "stan: invalid ack wait time, should be >= 1s"
	InvalidMaxInFlight = "stan: invalid MaxInflight, should be >= 1"
	InvalidConnReq     = "stan: invalid connection request"
	InvalidPubReq      = "stan: invalid publish request"
	InvalidSubReq      = "stan: invalid subscription request"
	InvalidUnsubReq    = "stan: invalid unsubscribe request"
	InvalidCloseReq    = "stan: invalid close request"
	DupDurable         = "stan: duplicate durable registration"
	InvalidDurableName = "stan: durable name of a durable queue subscriber can't contain the character ':'"
	UnknownClient      = "stan: unknown clientID"
	UnknownChannel     = "stan: unknown channel"
	ChannelDeleted     = "stan: channel is being deleted"
	TooManyChannels    = "too many channels"
	TooManySubs        = "too many subscriptions per channel"
	ClientReplaced     = "client has been replaced or is no longer registered"
)

// CaseClash is the text for a channel whose name differs only by its case from one
// that exists. The misspelling is part of the protocol.
func CaseClash(name, exists string) string {
	return "rejecting channel " + strconv.Quote(name) + " because channel " + strconv.Quote(exists) + " alreay exists (different cases not allowed)"
}
