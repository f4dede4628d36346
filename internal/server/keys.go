package server

import (
	"math"
	"time"
)

// What is not honoured, and why.
const (
	noteTLS          = "OCSP is not served yet"
	noteCluster      = "clusters are not served yet: this server runs alone"
	noteLinks        = "links to other servers are not served yet"
	noteMQTT         = "MQTT is not served yet"
	noteJWT          = "operator mode and JWTs are not served yet"
	noteLogging      = "not served yet"
	noteMappings     = "subject mappings are not served yet"
	noteMessageTrace = "message tracing is not served yet"
	noteTrace        = "what clients send is not logged yet, only details of their connections"
)

// topKeys are the keys of the file itself, in the order of the manual.
var topKeys = append(block{
	{names: "listen", set: func(c *Config, v value) {
		if host, port, ok := v.hostPort(); ok {
			c.Port = port
			if host != "" {
				c.Host, c.HostNamed = host, true
			}
		}
	}},
	{names: "host net", set: func(c *Config, v value) { c.Host, c.HostNamed = v.str(), true }},
	{names: "port", set: func(c *Config, v value) { c.Port = v.count(-1, 65535) }},
	{names: "client_advertise", set: func(c *Config, v value) { c.ClientAdvertise = v.str() }},
	{names: "server_name", set: setServerName},
	{names: "server_tags server_metadata feature_flags", note: noteLogging},
	{names: "debug", set: func(c *Config, v value) { c.Log.Debug = v.boolean() }},
	{names: "trace", set: func(c *Config, v value) {
		if c.Log.Trace = v.boolean(); c.Log.Trace {
			v.warning("known, but not honoured: %s", noteTrace)
		}
	}},
	{names: "logtime", set: func(c *Config, v value) { c.Log.NoTime = !v.boolean() }},
	{names: "logtime_utc", set: func(c *Config, v value) { c.Log.UTC = v.boolean() }},
	{names: "logfile log_file", set: func(c *Config, v value) { c.Log.File = v.str() }},
	{names: "log_format", set: func(c *Config, v value) { c.Log.Format = v.str() }},
	{names: "trace_verbose trace_headers logfile_size_limit log_size_limit logfile_max_num log_max_num syslog remote_syslog max_traced_msg_len", note: noteLogging},
	{names: "pidfile pid_file", set: func(c *Config, v value) { c.PidFile = v.str() }},
	{names: "ports_file_dir", set: func(c *Config, v value) { c.PortsFileDir = v.str() }},
	{names: "http", set: func(c *Config, v value) {
		if host, port, ok := v.hostPort(); ok {
			c.HTTP.Host, c.HTTP.HostNamed, c.HTTP.Port, c.HTTP.Named = host, host != "", port, true
		}
	}},
	{names: "http_port monitor_port", set: func(c *Config, v value) { c.HTTP.Port, c.HTTP.Named = v.count(-1, 65535), true }},
	{names: "http_base_path", set: func(c *Config, v value) { c.HTTP.BasePath = v.str() }},
	{names: "https https_port", set: refuse("monitoring over TLS is not served yet: use http, on a loopback address")},
	{names: "prof_port prof_block_rate", note: noteLogging},
	{names: "max_control_line", set: func(c *Config, v value) { c.MaxControlLine = v.count(1, 1<<30) }},
	{names: "max_payload", set: setMaxPayload},
	{names: "max_pending", set: func(c *Config, v value) { c.MaxPending = v.bytes() }},
	{names: "max_connections max_conn", set: func(c *Config, v value) {
		if c.MaxConnections = v.count(math.MinInt32, math.MaxInt32); c.MaxConnections == 0 {
			c.MaxConnections = -1
		}
	}},
	{names: "max_subscriptions max_subs", set: func(c *Config, v value) { c.MaxSubs = v.count(0, math.MaxInt32) }},
	{names: "max_sub_tokens max_subscription_tokens", set: func(c *Config, v value) { c.MaxSubTokens = v.count(0, 255) }},
	{names: "max_closed_clients", set: func(c *Config, v value) {
		if c.MaxClosed = v.count(-1, math.MaxInt32); c.MaxClosed == 0 {
			c.MaxClosed = -1
		}
	}},
	{names: "ping_interval", set: func(c *Config, v value) { c.PingInterval = v.duration() }},
	{names: "ping_max", set: func(c *Config, v value) { c.PingMax = v.count(1, 1<<20) }},
	{names: "write_deadline", set: func(c *Config, v value) { c.WriteDeadline = v.duration() }},
	{names: "write_timeout", set: setWriteTimeout},
	{names: "lame_duck_duration", set: func(c *Config, v value) { c.LameDuckDuration = v.duration() }},
	{names: "lame_duck_grace_period", set: func(c *Config, v value) { c.LameDuckGrace = v.duration() }},
	{names: "no_header_support", set: func(c *Config, v value) { c.NoHeaderSupport = v.boolean() }},
	{names: "disable_sublist_cache no_sublist_cache", note: "the cache of routes is bounded and stays on"},
	{names: "no_fast_producer_stall", note: "producers are never stalled for a slow consumer"},
	{names: "connect_error_reports reconnect_error_reports", note: noteLinks},
	{names: "proxy_protocol proxies", note: noteLogging},
	{names: "tls", set: func(c *Config, v value) { c.TLS = v.tls() }},
	{names: "allow_non_tls", set: func(c *Config, v value) { c.AllowNonTLS = v.boolean() }},
	{names: "ocsp ocsp_cache", note: noteTLS},
	{names: "authorization", set: func(c *Config, v value) {
		c.Auth.configured = true
		v.block(authKeys)
	}},
	{names: "no_auth_user", set: func(c *Config, v value) { c.Auth.NoAuthUser = v.str() }},
	{names: "accounts", set: setAccounts},
	{names: "mappings maps", note: noteMappings},
	{names: "system_account system", set: func(c *Config, v value) { c.SystemAccount = v.str() }},
	{names: "no_system_account no_system no_sys_acc", set: func(c *Config, v value) { c.NoSystem = v.boolean() }},
	{names: "operator operators root roots root_operator root_operators trusted trusted_keys", set: refuse(noteJWT + ": without it this server would let everybody in")},
	{names: "resolver account_resolver resolver_tls resolver_preload resolver_pinned_accounts default_sentinel", note: noteJWT},
	{names: "cluster", note: noteCluster},
	{names: "gateway", note: noteLinks},
	{names: "leaf leafnodes", set: func(_ *Config, v value) { v.block(leafKeys) }},
	{names: "websocket ws", set: func(c *Config, v value) { c.WebSocket = v.websocket() }},
	{names: "mqtt", note: noteMQTT},
	{names: "stan streaming", set: setStan},
	{names: "liftbridge", set: setLiftbridge},
	{names: "jetstream", set: setJetStream},
	{names: "store_dir storedir", set: func(c *Config, v value) { c.JetStream.StoreDir = v.str() }},
	{names: "default_js_domain", note: noteLinks},
}, stanFileKeys...)

// refuse makes a setter for what the server must not start with.
func refuse(why string) func(*Config, value) {
	return func(_ *Config, v value) { v.fail("%s", why) }
}

// largePayload is from where on nats-server's authors advise against.
const largePayload = 8 << 20

func setMaxPayload(c *Config, v value) {
	n := v.bytes()
	if n < 1 || n > math.MaxInt32 {
		v.fail("must be from 1 to %d bytes", math.MaxInt32)
		return
	}
	if c.MaxPayload = int(n); n > largePayload {
		v.warning("messages over 8MB make everything that is behind them wait: better send parts")
	}
}

// setWriteTimeout reads what becomes of a client that takes nothing for longer
// than the write deadline.
func setWriteTimeout(_ *Config, v value) {
	switch how := v.str(); how {
	case "default", "close":
	case "retry":
		v.warning("known, but not honoured: clients over the write deadline are closed")
	default:
		v.fail("must be default, close or retry")
	}
}

func setServerName(c *Config, v value) {
	c.ServerName = v.str()
	for _, r := range c.ServerName {
		if r <= ' ' {
			v.fail("must not have spaces")
			return
		}
	}
}

var jetStreamKeys = append(block{
	{names: "enabled enable", set: func(c *Config, v value) { c.JetStream.Enabled = v.boolean() }},
	{names: "store_dir storedir", set: func(c *Config, v value) { c.JetStream.StoreDir = v.str() }},
	{names: "max_memory_store max_mem_store max_mem max_memory", set: func(c *Config, v value) { c.JetStream.MaxMemory = unlimited(v.bytes()) }},
	{names: "max_file_store max_file max_storage", set: func(c *Config, v value) { c.JetStream.MaxFile = unlimited(v.bytes()) }},
	{names: "domain", set: func(c *Config, v value) { c.JetStream.Domain = v.str() }},
	{names: "sync_interval sync", set: setSync},
	{names: "scrub_rate", set: setScrubRate},
	{names: "scrub_interval", set: func(c *Config, v value) { c.JetStream.ScrubInterval = v.span(time.Second) }},
	{names: "reclaim_rate", set: setReclaimRate},
	{names: "strict", set: func(c *Config, v value) { c.JetStream.Strict = v.boolean() }},
	{names: "limits", set: func(_ *Config, v value) { v.block(jetStreamLimitKeys) }},
	{names: "unique_tag max_outstanding_catchup extension_hint", note: noteCluster},
	{names: "max_buffered_size max_buffered_msgs request_queue_limit tpm", note: noteLogging},
}, encryptionKeys...)

var jetStreamLimitKeys = block{
	{names: "max_request_batch", set: func(c *Config, v value) { c.JetStream.MaxRequestBatch = v.count(0, math.MaxInt32) }},
	{names: "duplicate_window", set: func(c *Config, v value) { c.JetStream.DuplicateWindow = v.duration() }},
	{names: "max_ack_pending", set: func(c *Config, v value) { c.JetStream.MaxAckPending = v.count(-1, math.MaxInt32) }},
	{names: "max_batch_inflight_per_stream", set: func(c *Config, v value) { c.JetStream.Batches.PerStream = v.count(0, math.MaxInt32) }},
	{names: "max_batch_inflight_total", set: func(c *Config, v value) { c.JetStream.Batches.Total = v.count(0, math.MaxInt32) }},
	{names: "max_batch_size", set: func(c *Config, v value) { c.JetStream.Batches.Size = v.count(0, math.MaxInt32) }},
	{names: "max_batch_timeout", set: func(c *Config, v value) { c.JetStream.Batches.Idle = v.duration() }},
	{names: "max_ha_assets batch", note: noteLogging},
}

func setJetStream(c *Config, v value) {
	switch x := v.v.(type) {
	case bool:
		c.JetStream.Enabled = x
	case string:
		switch x {
		case "enabled", "enable":
			c.JetStream.Enabled = true
		case "disabled", "disable":
			c.JetStream.Enabled = false
		default:
			v.fail("must be true, false or a block in braces")
		}
	default:
		c.JetStream.Enabled = true
		v.block(jetStreamKeys)
		checkEncryption(c, v)
	}
}

// setSync reads how often the journal is synced: "always", or an interval, which
// relaxes the promise of an acknowledgement.
func setSync(c *Config, v value) {
	if s, ok := v.v.(string); ok && s == "always" {
		c.JetStream.SyncInterval = 0
		return
	}
	if c.JetStream.SyncInterval = v.duration(); c.JetStream.SyncInterval > 0 {
		v.warning("acknowledged messages of up to %v can be lost when the machine fails; the default is \"always\"", c.JetStream.SyncInterval)
	}
}

// setScrubRate reads how many bytes a second are verified; 0 is none.
func setScrubRate(c *Config, v value) {
	if c.JetStream.ScrubRate = v.bytes(); c.JetStream.ScrubRate < 0 {
		v.fail("must be a number of bytes a second, such as 8MB, or 0 for no scrub")
	}
}

// setReclaimRate reads how many bytes a second are read or written to give the space
// of removed messages back.
func setReclaimRate(c *Config, v value) {
	if c.JetStream.ReclaimRate = v.bytes(); c.JetStream.ReclaimRate < minReclaimRate {
		v.fail("must be a number of bytes a second, such as 16MB, and 64KB at least")
	}
}

// unlimited makes 0 no limit, as it is for nats-server's users.
func unlimited(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}
