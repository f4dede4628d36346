package server

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/subject"
)

// What of Liftbridge is not honoured, and why.
const (
	noteLiftLevel    = "warnings and events are always logged"
	noteLiftNATS     = "this server is the NATS system itself: its own settings say where and how NATS clients connect"
	noteLiftCluster  = "clusters are not served yet: this server runs alone"
	noteLiftBatch    = "what comes at the same time is stored together without it"
	noteLiftCache    = "this server describes itself as it is at the moment"
	noteLiftTracking = "nothing is sent to anybody"
	noteLiftLogging  = "what is logged has no parts to choose from"
	noteLiftActivity = "events are stored before what they tell of is answered, as with all"
	noteLiftOCC      = "Liftbridge does not honour it either: streams say it themselves"
)

// liftKeys are Liftbridge's own keys, and ours: the first four, authz, and NATS's names
// for its keys of TLS. They may be written with dots,
// as blocks in blocks, or with both.
var liftKeys = block{
	{names: "enabled", set: func(c *Config, v value) { c.Liftbridge.Enabled = v.boolean() }},
	{names: "account", set: func(c *Config, v value) { c.Liftbridge.Account = v.str() }},
	{names: "nats_api", set: func(c *Config, v value) { c.Liftbridge.NATSOff = !v.boolean() }},
	{names: "listen", set: func(c *Config, v value) {
		if host, port, ok := v.hostPort(); ok {
			c.Liftbridge.Listen, c.Liftbridge.ListenPort = host, port
		}
	}},
	{names: "host", set: func(c *Config, v value) { c.Liftbridge.Host = v.str() }},
	{names: "port", set: setLiftPort},
	{names: "data.dir", set: func(c *Config, v value) { c.Liftbridge.DataDir = v.str() }},
	{names: "metadata.cache.max.age", note: noteLiftCache},
	{names: "logging.level", set: setLiftLevel},
	{names: "logging.recovery logging.raft logging.nats", note: noteLiftLogging},
	{names: "batch.max.messages batch.max.time", note: noteLiftBatch},
	{names: "tls.key tls.key_file", set: func(c *Config, v value) { c.Liftbridge.Key = v.str() }},
	{names: "tls.cert tls.cert_file", set: func(c *Config, v value) { c.Liftbridge.Cert = v.str() }},
	{names: "tls.client.auth.enabled tls.verify", set: func(c *Config, v value) { c.Liftbridge.ClientCerts = v.boolean() }},
	{names: "tls.client.auth.ca tls.ca_file", set: func(c *Config, v value) { c.Liftbridge.ClientCA = v.str() }},
	{names: "tls.client.authz.enabled", set: func(c *Config, v value) { c.Liftbridge.Authz.Enabled = v.boolean() }},
	{names: "tls.client.authz.model", set: func(c *Config, v value) { c.Liftbridge.Authz.Model = v.located() }},
	{names: "tls.client.authz.policy", set: func(c *Config, v value) { c.Liftbridge.Authz.Policy = v.located() }},
	{names: "authz", set: setLiftAuthz},
	{names: "nats.servers nats.user nats.password nats.tls.cert nats.tls.key nats.tls.ca nats.embedded nats.embedded.config", note: noteLiftNATS},
	{names: "streams.retention.max.bytes", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.MaxBytes = v.amount() }},
	{names: "streams.retention.max.messages", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.MaxMessages = v.amount() }},
	{names: "streams.retention.max.age", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.MaxAge = v.duration() }},
	{names: "streams.cleaner.interval", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.CleanerInterval = v.duration() }},
	{names: "streams.segment.max.bytes", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.SegmentMaxBytes = v.amount() }},
	{names: "streams.segment.max.age", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.SegmentMaxAge = v.duration() }},
	{names: "streams.compact.enabled", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.Compact = v.boolean() }},
	{names: "streams.compact.max.goroutines", set: func(c *Config, v value) {
		c.Liftbridge.Door.Defaults.CompactGoroutines = int32(v.count(0, math.MaxInt32))
	}},
	{names: "streams.auto.pause.time", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.AutoPause = v.duration() }},
	{names: "streams.auto.pause.disable.if.subscribers", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.AutoPauseUnlessRead = v.boolean() }},
	{names: "streams.concurrency.control", note: noteLiftOCC},
	{names: "streams.encryption", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.Encryption = v.boolean() }},
	{names: "clustering.server.id", set: func(c *Config, v value) { c.Liftbridge.ServerID = v.token() }},
	{names: "clustering.namespace", set: func(c *Config, v value) { c.Liftbridge.Door.Namespace = v.token() }},
	{names: "clustering.min.insync.replicas", set: func(c *Config, v value) { c.Liftbridge.Door.Defaults.MinISR = int32(v.count(0, 1)) }},
	{names: "clustering.replication.max.bytes", set: func(c *Config, v value) { c.Liftbridge.Door.MaxMessage = int(min(max(v.amount(), 1), maxLiftMessage)) }},
	{names: "clustering.raft.bootstrap.seed", set: func(_ *Config, v value) { v.boolean() }},
	{names: "clustering.raft.bootstrap.peers clustering.raft.snapshot.retain clustering.raft.snapshot.threshold clustering.raft.cache.size" +
		" clustering.raft.max.quorum.size clustering.replica.max.lag.time clustering.replica.max.leader.timeout" +
		" clustering.replica.max.idle.wait clustering.replica.fetch.timeout cursors.stream.replication.factor", note: noteLiftCluster},
	{names: "activity.stream.enabled", set: func(c *Config, v value) { c.Liftbridge.Door.Activity = v.boolean() }},
	{names: "activity.stream.publish.timeout", set: func(c *Config, v value) { c.Liftbridge.Door.ActivityTimeout = v.span(time.Millisecond) }},
	{names: "activity.stream.publish.ack.policy", note: noteLiftActivity},
	{names: "cursors.stream.partitions", set: func(c *Config, v value) { c.Liftbridge.Door.Cursors = v.count(0, 10_000) }},
	{names: "cursors.stream.auto.pause.time", set: func(c *Config, v value) { c.Liftbridge.Door.CursorAutoPause = v.duration() }},
	{names: "groups.consumer.timeout", set: func(c *Config, v value) { c.Liftbridge.Door.ConsumerTimeout = v.span(time.Millisecond) }},
	{names: "groups.coordinator.timeout", set: func(c *Config, v value) { c.Liftbridge.Door.CoordinatorTimeout = v.span(time.Millisecond) }},
	{names: "telemetry.enabled telemetry.interval.seconds", note: noteLiftTracking},
}

// maxLiftMessage is the largest message, bytes.
const maxLiftMessage = 60 << 20

// setLiftbridge reads the block: true, false, or braces with keys.
func setLiftbridge(c *Config, v value) {
	if on, ok := v.v.(bool); ok {
		c.Liftbridge.Enabled = on
		return
	}
	m, ok := v.v.(map[string]any)
	if !ok {
		v.fail("must be a block in braces")
		return
	}
	c.Liftbridge.Enabled = true
	v.v = flatten("", m, map[string]any{})
	v.block(liftKeys)
}

// flatten writes blocks in blocks as keys with dots.
func flatten(prefix string, m, out map[string]any) map[string]any {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		key, x := prefix+strings.ToLower(name), m[name]
		inner := x
		if t, ok := x.(token); ok {
			inner = t.Value()
		}
		if sub, ok := inner.(map[string]any); ok && liftKeys.find(key) == nil {
			flatten(key+".", sub, out)
			continue
		}
		out[key] = x
	}
	return out
}

// setLiftPort reads the port that clients are told; it is bound, too, where no
// address to listen at is given.
func setLiftPort(c *Config, v value) {
	c.Liftbridge.Port = v.count(0, 65535)
	if c.Liftbridge.Listen == "" && c.Liftbridge.ListenPort == defaultLiftPort {
		c.Liftbridge.ListenPort = c.Liftbridge.Port
	}
}

func setLiftLevel(c *Config, v value) {
	switch level := v.str(); level {
	case "debug":
		c.Log.Debug = true
	case "info", "warn", "error":
		if level != "info" {
			v.warning("known, but not honoured: %s", noteLiftLevel)
		}
	default:
		v.fail("must be debug, info, warn or error")
	}
}

// amount is a number of bytes or messages that is not negative.
func (v value) amount() int64 {
	n := v.bytes()
	if n < 0 {
		v.fail("must not be negative")
		return 0
	}
	return n
}

// token is a text that can be one token of a subject.
func (v value) token() string {
	s := v.str()
	if !subject.ValidLiteral(s) || strings.Contains(s, ".") {
		v.fail("must have neither spaces nor dots")
	}
	return s
}
