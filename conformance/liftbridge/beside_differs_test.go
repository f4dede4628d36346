package liftbridge_test

import (
	"strings"
	"sync"
	"testing"
)

// difference is where weir does on purpose not what the old server does: with weir in the
// place of old, what the old server says to what was asked is what weir says.
type difference struct{ what, old, weir, why string }

// differences is the table of docs/liftbridge.md, as far as it is met here.
var differences = []difference{
	{"FetchMetadata", " paused:true", "", "what is resumed is not paused"},
	{"FetchPartitionMetadata", " paused:true", "", "what is resumed is not paused"},
	{
		"FetchPartitionMetadata", "messagesReceivedTimestamps:{firstTimestamp:T1 latestTimestamp:T3} pauseTimestamps:{} readonlyTimestamps:{firstTimestamp:T2 latestTimestamp:T4}",
		"messagesReceivedTimestamps:{firstTimestamp:T1 latestTimestamp:T2} pauseTimestamps:{} readonlyTimestamps:{firstTimestamp:T3 latestTimestamp:T4}",
		"the times are those of messages that are stored, and they outlive a restart",
	},
	{
		"Subscribe", `the end, Internal "Failed to create stream reader: segment has been closed"`, "{}\n  " + `the end, FailedPrecondition "commit log was closed"`,
		"a paused partition is no failure of the server's",
	},
	{"Subscribe", `InvalidArgument "Stop offset is before start offset: 1 < 2"`, endReadonly, "nothing is wrong with what was asked"},
	{"Subscribe", `InvalidArgument "Stop offset is before start offset: 1 < 9"`, endReadonly, "nothing is wrong with what was asked"},
	{"CreateStream", "kwp: invalid AES key size; want 16 or 32, got 0", "neither LIFTBRIDGE_ENCRYPTION_KEY nor jetstream { key } is set", "it says what to do"},
	{"retentionMaxBytes:{value:-1}", "{}", `InvalidArgument "Invalid retentionMaxBytes -1"`, "there can not be less than nothing"},
	{"minIsr:{value:2}", "{}", `InvalidArgument "Invalid minIsr 2, cluster size 1"`, "nothing that is published to it would be acked"},
	{"ackPolicy:7", unanswered, anAnswer, "an ack policy that there is not is the default"},
	{"ackPolicy:-1", unanswered, anAnswer, "an ack policy that there is not is the default"},
	{"ackPolicy:9", "nothing", anAnswer, "an ack policy that there is not is the default"},
	{"on n0.acks", "nothing", anAnswer, "an ack policy that there is not is the default"},
	{"Publish{", tooLong, `InvalidArgument "message exceeds max replication size"`, "there is one limit, and one text"},
	{"PublishToSubject{", tooLong, anAnswer, "there is one limit, and one text"},
	{
		"PublishAsync{", `INTERNAL message:"failed to publish to NATS: nats: maximum payload exceeded"`,
		`BAD_REQUEST message:"message exceeds max replication size"`, "there is one limit, and one text",
	},
	{"PublishToSubject{", `Unknown "failed to publish to NATS: nats: invalid subject"`, noSubject, "it is what the caller said"},
	{`subject:"x a"}`, unanswered, noSubject, "nobody can have such a subject"},
	{`subject:"x..y"}`, unanswered, noSubject, "nobody can have such a subject"},
	{`subject:"*"}`, unanswered, noSubject, "a pattern is no subject"},
	{`subject:"x.*"}`, anAnswer, noSubject, "a pattern is no subject"},
	{`subject:"x.>"}`, anAnswer, noSubject, "a pattern is no subject"},
	{
		`Subscribe{stream:"x1"`, "\n  " + `{offset:4 value:"no subject" timestamp:T1 stream:"x1" subject:"x.*" headers:{reply:"" subject:"x.*"}}` +
			"\n  " + `{offset:5 value:"no subject" timestamp:T1 stream:"x1" subject:"x.>" headers:{reply:"" subject:"x.>"}}`, "", "a pattern is no subject",
	},
	{"FetchMetadata{", "partitionCount:7 leaderCount:7", "partitionCount:8 leaderCount:8", "what is resumed counts again"},
	{
		`Subscribe{stream:"__cursors"`, `{key:"a,z0,0" value:"\n\x02z0\x1a\x01a \x05" timestamp:T1 stream:"__cursors" subject:"ns.cursors" headers:{reply:"" subject:"ns.cursors"}}` + "\n  " +
			`{offset:1 key:"a,z0,0" value:"\n\x02z0\x1a\x01a \x06" timestamp:T1 stream:"__cursors" subject:"ns.cursors" headers:{reply:"" subject:"ns.cursors"}}` + "\n  ", "",
		"of a cursor the newest message is kept",
	},
	{`Subscribe{stream:"__cursors"`, `subject:"ns.cursors"`, `subject:"ns.cursors.a,z0,0"`, "each cursor has a subject, by which it is found"},
	{`CreateStream "\x12\x02\xff\xfe"`, "InvalidArgument", "Internal", "a name that is not UTF-8 is no text of Protobuf's"},
	{`"__activity"`, "partitions:[1 1]", "partitions:[1]", "a partition is paused once"},
	{`"__activity"`, `streams:["a2" "a2"]`, `streams:["a2"]`, "a stream is read once"},
}

// Texts that are met more than once.
const (
	anAnswer    = "an ack" // whatever it says
	unanswered  = `DeadlineExceeded "context deadline exceeded"`
	tooLong     = `Unknown "failed to publish to NATS: nats: maximum payload exceeded"`
	noSubject   = `InvalidArgument "Subject is invalid"`
	endReadonly = `ResourceExhausted "End of readonly partition"`
)

// apply puts what weir says into what the old server says.
func (d difference) apply(old, weir string) string {
	isAck := func(text string) bool { return strings.Contains(text, "ack:{") || strings.Contains(text, "an ack {") }
	switch {
	case d.old == anAnswer && isAck(old):
		return d.weir
	case d.weir == anAnswer && isAck(weir) && old == d.old:
		return weir
	}
	return strings.ReplaceAll(old, d.old, d.weir)
}

// met are the differences that were seen.
var met struct {
	sync.Mutex
	rows map[difference]bool
}

// deliberate says whether what two servers said differs on purpose.
func deliberate(what, old, weir string) bool {
	var used []difference
	for _, d := range differences {
		if !strings.Contains(what, d.what) || old == weir {
			continue
		}
		if said := d.apply(old, weir); said != old {
			old, used = said, append(used, d)
		}
	}
	if old != weir {
		return false
	}
	met.Lock()
	defer met.Unlock()
	if met.rows == nil {
		met.rows = map[difference]bool{}
	}
	for _, d := range used {
		met.rows[d] = true
	}
	return true
}

// areMet says which differences there are no more: they do not belong in the table.
func areMet(t *testing.T) {
	t.Helper()
	for _, d := range differences {
		if !met.rows[d] {
			t.Errorf("no answer differs so any more: %+v", d)
		}
	}
}
