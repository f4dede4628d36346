package server

import (
	"math"
	"strings"
	"time"

	standoor "github.com/weirmq/weir/internal/door/stan"
	"github.com/weirmq/weir/internal/subject"
	stanwire "github.com/weirmq/weir/internal/wire/stan"
)

// What of the old streaming server is not honoured, and why.
const (
	noteStanFiles   = "the storage engine has settings of its own, and always syncs and checks"
	noteStanSQL     = "there is no SQL store: channels are kept in Weir's own storage"
	noteStanCluster = "streaming servers in clusters, in fault-tolerant groups and with partitioned channels are not served: this server runs alone"
	noteStanClient  = "it is for the connection to another NATS system, of which there is none: nats_server_url names one"
	noteStanIO      = "what comes at the same time is stored together without it"
	noteStanSyslog  = "what is logged goes where the server logs"
)

// stanKeys are those of the streaming server's block, and of its own file.
var stanKeys = append(block{
	{names: "enabled", set: func(c *Config, v value) { c.Stan.Enabled = v.boolean() }},
	{names: "account", set: func(c *Config, v value) { c.Stan.Account = v.str() }},
	{names: "capture", set: func(c *Config, v value) { c.Stan.Door.Capture = v.channels() }},
	{names: "republish", set: func(c *Config, v value) { c.Stan.Door.Republish = v.channels() }},
	{names: "tls", set: func(_ *Config, v value) { v.block(remoteTLSKeys) }},
	{names: "cluster", note: noteStanCluster},
}, append(remoteKeys, stanFileKeys...)...)

// stanFileKeys are those that an old file may have outside of any block, too.
var stanFileKeys = block{
	{names: "cluster_id id cid", set: func(c *Config, v value) { c.Stan.Enabled, c.Stan.Door.Cluster = true, v.cluster() }},
	{names: "discover_prefix", set: func(c *Config, v value) { c.Stan.Enabled, c.Stan.Door.Discover = true, v.str() }},
	{names: "store st store_type storetype", set: func(c *Config, v value) {
		c.Stan.Enabled = true
		if err := setStanStore(c, v.str()); err != nil {
			v.fail("%s", err)
		}
	}},
	{names: "dir datastore", set: func(c *Config, v value) { c.Stan.Enabled, c.Stan.Dir = true, v.str() }},
	{names: "stan_debug sd", set: func(c *Config, v value) { c.Log.Debug = c.Log.Debug || v.boolean() }},
	{names: "stan_trace sv", set: func(_ *Config, v value) {
		if v.boolean() {
			v.warning("known, but not honoured: %s", noteTrace)
		}
	}},
	{names: "nats_server_url ns nats_server", set: func(c *Config, v value) {
		c.Stan.Enabled, c.Stan.Remote.Servers = true, strings.Join(v.strs(), ",")
	}},
	{names: "store_limits limits storelimits", set: func(c *Config, v value) {
		c.Stan.Enabled = true
		v.block(stanLimitKeys)
	}},
	{names: "file_options file", set: func(_ *Config, v value) { v.block(stanStorageKeys) }},
	{names: "sql_options sql", note: noteStanSQL},
	{names: "hb_interval hbi server_to_client_hb_interval", set: func(c *Config, v value) { c.Stan.Door.HeartbeatInterval = v.span(time.Millisecond) }},
	{names: "hb_timeout hbt server_to_client_hb_timeout", set: func(c *Config, v value) { c.Stan.Door.HeartbeatTimeout = v.span(time.Millisecond) }},
	{names: "hb_fail_count hbf server_to_client_hb_fail_count", set: func(c *Config, v value) { c.Stan.Door.HeartbeatFails = v.count(0, math.MaxInt32) }},
	{names: "replace_durable replace_durables replace_duplicate_durable replace_duplicate_durables", set: func(c *Config, v value) { c.Stan.Door.ReplaceDurable = v.boolean() }},
	{names: "ft_group ft_group_name", note: noteStanCluster},
	{names: "partitioning", set: func(_ *Config, v value) {
		if v.boolean() {
			v.fail("%s", noteStanCluster)
		}
	}},
	{names: "syslog_name", note: noteStanSyslog},
	{names: "encrypt", set: func(c *Config, v value) { c.Stan.Encrypt = v.boolean() }},
	{names: "encryption_key", set: func(c *Config, v value) { c.Stan.EncryptionKey = v.str() }},
	{names: "encryption_cipher", set: func(c *Config, v value) {
		if err := c.Stan.setCipher(v.str()); err != nil {
			v.fail("%v", err)
		}
	}},
}

// stanLimitKeys are the limits of all channels.
var stanLimitKeys = append(block{
	{names: "max_channels mc maxchannels", set: func(c *Config, v value) { c.Stan.Door.Limits.MaxChannels = v.count(0, math.MaxInt32) }},
	{names: "channels channels_limits channelslimits per_channel per_channel_limits", set: setStanChannels},
}, stanChannelKeys(func(c *Config) *standoor.ChannelLimits { return &c.Stan.Door.Limits.ChannelLimits }, false)...)

// stanChannelKeys are the limits of one channel, or of all. Of one, 0 is no limit.
func stanChannelKeys(of func(*Config) *standoor.ChannelLimits, one bool) block {
	number := func(v value) int64 {
		low := int64(0)
		if one {
			low = -1
		}
		n := v.bytes()
		if n < low {
			v.fail("must not be negative")
		}
		return none(n, one)
	}
	span := func(v value) time.Duration {
		if n, ok := v.v.(int64); ok && n < 0 && one {
			return -1
		}
		return time.Duration(none(int64(v.duration()), one))
	}
	return block{
		{names: "max_subs msu max_subscriptions maxsubscriptions", set: func(c *Config, v value) { of(c).MaxSubs = int(number(v)) }},
		{names: "max_msgs mm maxmsgs max_count maxcount", set: func(c *Config, v value) { of(c).MaxMsgs = number(v) }},
		{names: "max_bytes mb maxbytes", set: func(c *Config, v value) { of(c).MaxBytes = number(v) }},
		{names: "max_age ma maxage", set: func(c *Config, v value) { of(c).MaxAge = span(v) }},
		{names: "max_inactivity mi maxinactivity", set: func(c *Config, v value) { of(c).MaxInactivity = span(v) }},
	}
}

// none makes of 0 the number that stands for no limit where 0 means that another one
// holds.
func none(n int64, one bool) int64 {
	if n == 0 && one {
		return -1
	}
	return n
}

func setStanChannels(c *Config, v value) {
	m, ok := v.v.(map[string]any)
	if !ok {
		v.fail("must be a block in braces")
		return
	}
	c.Stan.Door.Limits.Channels = map[string]standoor.ChannelLimits{}
	for name, x := range m {
		e := v.wrap(name, x)
		if !stanwire.ValidPattern(name) {
			e.fail("invalid channel name %q", name)
			continue
		}
		var l standoor.ChannelLimits
		e.block(stanChannelKeys(func(*Config) *standoor.ChannelLimits { return &l }, true))
		c.Stan.Door.Limits.Channels[name] = l
	}
}

// stanStorageKeys are the file store's. Only the one that makes promises is looked at.
var stanStorageKeys = block{
	{names: "sync_on_flush sync do_sync", set: func(_ *Config, v value) {
		if !v.boolean() {
			v.warning("known, but not honoured: what is acknowledged is on the disk, unless jetstream { sync_interval } says otherwise")
		}
	}},
	{names: "compact compact_enabled compact_fragmentation compact_frag compact_interval compact_min_size buffer_size crc do_crc crc_poly" +
		" slice_max_msgs slice_max_count slice_msgs slice_count slice_max_bytes slice_max_size slice_bytes slice_size" +
		" slice_max_age slice_age slice_max_time slice_time_limit slice_archive_script slice_archive slice_script" +
		" fds_limit file_descriptors_limit parallel_recovery read_buffer_size file_read_buffer_size auto_sync file_auto_sync", note: noteStanFiles},
}

func setStan(c *Config, v value) {
	if on, ok := v.v.(bool); ok {
		c.Stan.Enabled = on
		return
	}
	c.Stan.Enabled = true
	v.block(stanKeys)
}

// cluster is a cluster's id, which becomes a part of subjects.
func (v value) cluster() string {
	id := v.str()
	if !subject.ValidLiteral(id) {
		v.fail("must be usable in a subject")
	}
	return id
}

// channels is a list of names and patterns of channels, or true for all.
func (v value) channels() []string {
	if on, ok := v.v.(bool); ok {
		if on {
			return []string{">"}
		}
		return nil
	}
	list := v.strs()
	for _, p := range list {
		if !stanwire.ValidPattern(p) {
			v.fail("%q is no name or pattern of channels", p)
		}
	}
	return list
}

func hasWildcard(name string) bool { return subject.HasWildcard(name) }
