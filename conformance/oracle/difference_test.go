package oracle_test

import (
	"flag"
	"strings"
	"sync"
	"testing"
)

// difference is a place where Weir may answer otherwise than nats-server, with the reason.
type difference struct {
	script  string // file, with * for anything
	request string // subject, headers and body, with * for anything
	field   string // with * for anything
	reason  string
}

// sometimes begins the reason of a difference that need not be seen in each run: it is
// one of time, or of an order that nats-server leaves to chance.
const sometimes = "sometimes: "

// differences are those of the scripts.
var differences = &table{entries: []difference{
	{"*", "*", "*metadata._nats.level", "Weir shows the level of the API that it serves, which is lower"},
	{"*", "*$JS.API.INFO*", "body.api.level", "as above"},
	{"*", "*Nats-Required-Api-Level: 4*", "*", "as above"},
	{"*", "*Nats-Required-Api-Level: 5*", "*", "as above"},
	{"*", "*", "*state.bytes", "Weir's records have another overhead"},
	{"stream-list.txt", "*STREAM.NAMES*", "body.streams", "an empty list is an array, as the schemas demand, and not null"},
	{"messages.txt", "*STREAM.MSG.DELETE.*", "body.error.*", "one error for all messages that are not there"},
	{"direct.txt", "*no_hdr*", "2.header.Nats-Num-Pending", "what was sent is not pending, also without headers"},
	{"direct.txt", "*up_to_seq\":99*", "*", "a bound above the end is no bound"},
	{"consumer-update.txt", "*CREATE.S.e *", "body.config.inactive_threshold", "a consumer that becomes durable, or ephemeral, gets the threshold of its kind"},
	{"consumer-create.txt", "*", "*config.opt_start_time", "times are shown in UTC"},
	{"consumer-create.txt", "*", "body.config.name", "a name that was made up is shown in the configuration, too"},
	{"mirror.txt", "*STREAM.CREATE.F *", "body.mirror.filter_subject", sometimes + "the filter is shown from the beginning"},
	{"*", "*", "*sources.*.seq", "the position in the origin is not shown"},
	{"consumer-flow.txt", "*filter_subject\":\"a..b*", "body.error.*", "the number says that it is the filter that is wrong"},
	{"consumer-flow.txt", "*deliver\":\"x.y*", "*", "a stream would store what is sent to it to be copied"},
	{"consumer-flow.txt", "*\"name\":\"b\",\"deliver_subject*", "*", "two sources of one stream are told apart by their filters, which they have not"},
	{"consumer-flow.txt", "*STREAM.DELETE.M*", "*", "as above: what was refused can not be deleted"},
	{"consumer-more.txt", "*CONSUMER.INFO.S.m*", "body.ack_floor.*", "the floor passes what was given up"},
	{"consumer-more.txt", "*CONSUMER.CREATE.S.l2 *", "body.*.stream_seq", "a consumer of the last message starts behind all where there is none"},
	{"consumer-more.txt", "*CONSUMER.CREATE.S.l4 *", "body.*.stream_seq", "what no message is the last of has no start"},
	{"consumer-more.txt", "*CONSUMER.LIST.S*", "body.consumers.*_seq", "as above"},
	{"stream-more.txt", "*\"dest\":\"\"*", "body.error.err_code", "the number says that it is the configuration that is wrong"},
	{"stream-more.txt", "*.ALL *", "body.config.republish.*", "what is published again is shown as it was asked for"},
	{"stream-more.txt", "*partition(0,1)*", "*", "of no partitions none can be chosen"},
	{"stream-more.txt", "*_nats.x*", "body.config.metadata._nats.x", "metadata that begin so are the server's"},
	{"kv.txt", "*CONSUMER.CREATE.KV_b.w3*", "body.*.stream_seq", "what no message is the last of has no start"},
	{"kv.txt", "*STREAM.UPDATE.X *", "*", "what a seal has done needs not be said again"},
	{"stream-update.txt", "*\"description\":\"sealed\"*", "*", "as above"},
	{"copies.txt", "pull *", "header.Nats-Stream-Source", "it does not name the origin's identity"},
	{"counter.txt", "*STREAM.*.S*", "body.sources.*", sometimes + "sources are shown in the order of the configuration"},
	{"copies.txt", "*STREAM.*.S3*", "body.sources.*", sometimes + "as above"},
	{"pull-more.txt", "*CONSUMER.INFO.S.b*", "body.ack_floor.*", "the floor passes what was given up"},
	{"fast.txt", "fast d2.*", "body.duplicate", "the end of a fast batch does not say which of its messages were known"},
	{"fast.txt", "fast b7.x.*", "*", "a flow that is no number is refused"},
	{"limits.txt", "*CONSUMER.CREATE.T.c *", "*", "an account's consumers are counted together, not for each stream"},
	{"limits.txt", "*CONSUMER.CREATE.S.c *", "*", "as above"},
	{"limits.txt", "*STREAM.INFO.T*", "body.state.consumer_count", "as above"},
	{"marker.txt", "*CONSUMER.INFO.D.a*", "body.ack_floor.last_active", "that a message ends is no acknowledgement"},
	{"counter.txt", "*DIRECT.GET.A.a.1*", "header.Nats-Counter-Sources", "what a client says of a counter's sources is not believed"},
	{"counter.txt", "*STREAM.CREATE.X*subject_delete_marker_ttl*", "*", "markers need times to live, which counters can not have"},
	{"*", "*DIRECT.GET.*", "header.Nats-Stream-Source", sometimes + "it does not name the origin's identity"},
	{"mirror.txt", "*STREAM.MSG.GET.S*", "body.message.hdrs", "Nats-Stream-Source does not name the origin's identity"},
	{"*", "*", "*mirror.error", sometimes + "a mirror says what is wrong with its origin"},
	{"*", "*", "*sources.*.error", sometimes + "a source says what is wrong with its origin"},
	{"*", "*", "*mirror.lag", sometimes + "the lag is known from the beginning"},
	{"*", "*", "*sources.*.lag", sometimes + "as above"},
	{"*", "*", "*mirror.active", sometimes + "an origin of the same server is heard from the beginning"},
	{"mirror.txt", "*STREAM.CREATE.P *", "body.sources.*", sometimes + "sources are shown in the order of the configuration"},
	{"mirror.txt", "*STREAM.INFO.P *", "body.sources.*", sometimes + "as above"},
	{"mirror.txt", "*STREAM.UPDATE.S *", "body.sources.*", sometimes + "as above; the lag is known from the beginning"},
	{"mirror.txt", "*STREAM.LIST*", "body.streams.*.sources.*", sometimes + "as above"},
	{"mirror.txt", "*STREAM.CREATE.S *", "body.sources.*.lag", sometimes + "as above"},
	{"traps.txt", "*CONSUMER.INFO.T6.a*", "body.ack_floor.*", "the floor passes what was given up"},
	{"acks.txt", "*CONSUMER.INFO.S.e*", "body.ack_floor.*", "as above"},
	{"stream-invalid.txt", "*STREAM.CREATE.A *{}", "*", "what follows the JSON of a request is refused"},
	{"stream-*", "*STREAM.CREATE.*$JS.EVENT.*", "body.state.*", sometimes + "the stream may hold the news of its creation already"},
	{"stream-invalid.txt", "*STREAM.INFO.ok*", "body.state.first_seq", "a purge of nothing changes nothing"},
	{"stream-update.txt", "*first_seq*", "body.config.first_seq", "the first sequence that is shown is that of the creation"},
	{"pull.txt", "*\"batch\":\"x\"*", "header.Description", "the text names no type of Go"},
	{"pull.txt", "*\"expires\":-1*", "header.*", "a time below zero is none"},
	{"traps.txt", "*CONSUMER.INFO.T1.*", "body.ack_floor.*", "a purge by subject moves no position"},
	{"traps.txt", "*CONSUMER.INFO.T1.*", "body.delivered.stream_seq", "as above"},
	{"traps.txt", "*CONSUMER.INFO.T33.a*", "body.ack_floor.last_active", "a purge is no acknowledgement"},
	{"*", "*", "*sources.*.active", sometimes + "an origin of the same server is heard from the beginning"},
	{"traps.txt", "*CONSUMER.CREATE.T27.a*", "body.delivered.*", sometimes + "the answer knows already what went to the new subject"},
	{"traps.txt", "*CONSUMER.CREATE.T27.a*", "body.num_redelivered", sometimes + "as above"},
	{"traps.txt", "*CONSUMER.CREATE.T27.a*", "body.push_bound", sometimes + "the answer knows already who listens"},
	{"*", "*STREAM.CREATE.*mirror*", "body.state.*", sometimes + "a mirror begins at once"},
	{"*", "*STREAM.*E.*sources*", "body.state.*", sometimes + "as above"},
	{"stream-create.txt", "*STREAM.CREATE.O *", "body.sources.*", sometimes + "sources are shown in the order of the configuration"},
	{"admin.txt", "*STREAM.SNAPSHOT.S *", "body.error.*", "what is missing in a request for a snapshot is named"},
	{"admin.txt", "*STREAM.RESTORE.S *", "body.deliver_subject", "an error has no subject to send to"},
	{"advisories.txt", "*ADVISORY.API*", "body.client.*", "the audit names the account only"},
}}

// table holds differences and remembers which of them were met. It may be used by
// several tests at once.
type table struct {
	entries []difference

	mu  sync.Mutex
	met map[int]bool
}

// explains says whether a difference stands in the table.
func (t *table) explains(script, request, field string) bool {
	for i, d := range t.entries {
		if !matches(d.script, script) || !matches(d.request, request) || !matches(d.field, field) {
			continue
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.met == nil {
			t.met = map[int]bool{}
		}
		t.met[i] = true
		return true
	}
	return false
}

// checkAllAreNeeded fails for entries of the table that nothing met.
func (t *table) checkAllAreNeeded(tb testing.TB) {
	tb.Helper()
	for i, d := range t.entries {
		if !t.met[i] && !strings.HasPrefix(d.reason, sometimes) {
			tb.Errorf("no such difference any longer: %q %q %q", d.script, d.request, d.field)
		}
	}
}

// wholeRun says whether all scripts run.
func wholeRun() bool {
	f := flag.Lookup("test.run")
	return f == nil || f.Value.String() == ""
}
