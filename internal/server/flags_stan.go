package server

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
	standoor "github.com/weirmq/weir/internal/door/stan"
	"github.com/weirmq/weir/internal/subject"
)

// setStanStore reads where channels are kept.
func setStanStore(c *Config, v string) error {
	switch strings.ToUpper(v) {
	case "MEMORY":
		c.Stan.Door.Memory = true
	case "FILE":
		c.Stan.Door.Memory = false
	case "SQL":
		return errors.New(noteStanSQL)
	default:
		return fmt.Errorf("unknown store type: %s", v)
	}
	return nil
}

// stanFlag makes a setter that turns the streaming server on.
func stanFlag(set func(s *StanConfig, v string) error) func(*Flags, string) error {
	return over(func(c *Config, v string) error {
		c.Stan.Enabled = true
		return set(&c.Stan, v)
	})
}

// stanNumber reads a number that is not negative and may have the unit of a size.
func stanNumber(what string, put func(s *StanConfig, n int64)) func(*Flags, string) error {
	return stanFlag(func(s *StanConfig, v string) error {
		n, err := sizeOf(v)
		if err != nil {
			return err
		}
		if n < 0 {
			return fmt.Errorf("%s limit cannot be negative (%v)", what, n)
		}
		put(s, n)
		return nil
	})
}

// sizeOf reads a number such as 10, 64KB or 1GB.
func sizeOf(v string) (int64, error) {
	if sized.MatchString(v) {
		if m, err := conf.Parse("v: " + v); err == nil {
			if n, ok := m["v"].(int64); ok {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not a number", v)
}

func stanSpan(put func(s *StanConfig, d time.Duration)) func(*Flags, string) error {
	return stanFlag(func(s *StanConfig, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 || d > longest {
			return fmt.Errorf("%q is not a duration, such as 10s", v)
		}
		put(s, d)
		return nil
	})
}

// stanSwitch reads a switch that is refused when it is on.
func stanSwitch(why string) func(*Flags, string) error {
	return stanFlag(func(_ *StanConfig, v string) error {
		on, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is not true or false", v)
		}
		if on {
			return errors.New(why)
		}
		return nil
	})
}

// remoteFile reads the name of a file for the connection to another NATS system.
func remoteFile(field func(*RemoteConfig) *string) func(*Flags, string) error {
	return stanFlag(func(s *StanConfig, v string) error {
		*field(&s.Remote) = v
		return nil
	})
}

func channelLimits(s *StanConfig) *standoor.ChannelLimits { return &s.Door.Limits.ChannelLimits }

// stanFlags are those of the old streaming server. Any of them turns it on.
var stanFlags = []flag{
	{names: "cluster_id cid", arg: "ID", help: "serve NATS Streaming's clients of this cluster id (default test-cluster)", set: stanFlag(func(s *StanConfig, v string) error {
		if !subject.ValidLiteral(v) {
			return fmt.Errorf("%q can not be a part of a subject", v)
		}
		s.Door.Cluster = v
		return nil
	})},
	{names: "store st", arg: "MEMORY|FILE", help: "keep its channels in memory (default) or on disk", set: over(func(c *Config, v string) error {
		c.Stan.Enabled = true
		return setStanStore(c, v)
	})},
	{names: "dir", arg: "DIR", help: "keep streams in this directory", set: stanFlag(func(s *StanConfig, v string) error {
		s.Dir = v
		return nil
	})},
	{names: "max_channels mc", arg: "N", help: "how many channels there may be (default 100; 0: no limit)", set: stanNumber("max channels", func(s *StanConfig, n int64) {
		s.Door.Limits.MaxChannels = int(min(n, math.MaxInt32))
	})},
	{names: "max_subs msu", arg: "N", help: "… and subscriptions of each (default 1000)", set: stanNumber("max subscriptions", func(s *StanConfig, n int64) {
		channelLimits(s).MaxSubs = int(min(n, math.MaxInt32))
	})},
	{names: "max_msgs mm", arg: "N", help: "… and messages of each (default 1000000)", set: stanNumber("max messages", func(s *StanConfig, n int64) { channelLimits(s).MaxMsgs = n })},
	{names: "max_bytes mb", arg: "SIZE", help: "… and their bytes (default 1024000000)", set: stanNumber("max bytes", func(s *StanConfig, n int64) { channelLimits(s).MaxBytes = n })},
	{names: "max_age ma", arg: "TIME", help: "… and how old they may be", set: stanSpan(func(s *StanConfig, d time.Duration) { channelLimits(s).MaxAge = d })},
	{names: "max_inactivity mi", arg: "TIME", help: "delete channels that nobody uses for so long", set: stanSpan(func(s *StanConfig, d time.Duration) { channelLimits(s).MaxInactivity = d })},
	{names: "hb_interval hbi", arg: "TIME", help: "ask each client so often whether it is there (default 30s)", set: stanSpan(func(s *StanConfig, d time.Duration) { s.Door.HeartbeatInterval = d })},
	{names: "hb_timeout hbt", arg: "TIME", help: "… and wait so long for the answer (default 10s)", set: stanSpan(func(s *StanConfig, d time.Duration) { s.Door.HeartbeatTimeout = d })},
	{names: "hb_fail_count hbf", arg: "N", help: "… and close those that miss more than so many (default 10)", set: stanNumber("heartbeat fail count", func(s *StanConfig, n int64) {
		s.Door.HeartbeatFails = int(min(n, math.MaxInt32))
	})},
	{names: "replace_durable", help: "let a client take over a durable of its own that is in use", set: stanFlag(func(s *StanConfig, v string) (err error) {
		s.Door.ReplaceDurable, err = strconv.ParseBool(v)
		return err
	})},
	{names: "stan_config sc", arg: "FILE", help: "the same as -c", set: func(f *Flags, v string) error {
		if f.Config != "" && f.Config != v {
			return errors.New("there is one configuration file: put both into one, or let it include the other")
		}
		f.Config = v
		f.set = append(f.set, func(c *Config) { c.Stan.Enabled = true })
		return nil
	}},
	{names: "nats_server ns", arg: "URL", help: "serve streaming clients in this NATS system, of servers that others run (several with commas)", set: stanFlag(func(s *StanConfig, v string) error {
		s.Remote.Servers = v
		return nil
	})},
	{names: "stan_debug SD", help: "the same as -D", set: switchOn(func(c *Config, on bool) { c.Log.Debug, c.Stan.Enabled = on, true })},
	{names: "stan_trace SV", help: "the same as -V", set: trace(switchOn(func(c *Config, on bool) { c.Log.Trace, c.Stan.Enabled = on, true }))},
	{names: "SDV", help: "both", set: trace(switchOn(func(c *Config, on bool) { c.Log.Debug, c.Log.Trace, c.Stan.Enabled = on, on, true }))},
	{names: "encrypt", help: "encrypt what is stored, with the key in NATS_STREAMING_ENCRYPTION_KEY", set: stanFlag(func(s *StanConfig, v string) (err error) {
		s.Encrypt, err = strconv.ParseBool(v)
		return err
	})},
	{names: "encryption_key", arg: "KEY", help: "… or with this one, which others on this host can see", set: stanFlag(func(s *StanConfig, v string) error {
		s.EncryptionKey = v
		return nil
	})},
	{names: "encryption_cipher", arg: "AES|CHACHA", help: "… in this way", set: stanFlag((*StanConfig).setCipher)},
	{names: "clustered cluster_bootstrap", help: "refused: clusters are not served yet", set: stanSwitch(noteStanCluster)},
	{names: "ft_group cluster_node_id cluster_peers cluster_log_path cluster_log_cache_size cluster_log_snapshots cluster_trailing_logs", arg: "VALUE", note: noteStanCluster, stan: true},
	{names: "cluster_sync cluster_raft_logging cluster_proceed_on_restore_failure cluster_allow_add_remove_node", note: noteStanCluster, stan: true},
	{names: "file_compact_enabled file_crc file_sync file_truncate_bad_eof", note: noteStanFiles, stan: true},
	{names: "file_compact_frag file_compact_interval file_compact_min_size file_buffer_size file_crc_poly file_slice_max_msgs file_slice_max_bytes" +
		" file_slice_max_age file_slice_archive_script file_fds_limit file_parallel_recovery file_read_buffer_size file_auto_sync", arg: "VALUE", note: noteStanFiles, stan: true},
	{names: "io_batch_size io_sleep_time", arg: "VALUE", note: noteStanIO, stan: true},
	{names: "sql_driver sql_source sql_max_open_conns sql_bulk_insert_limit", arg: "VALUE", note: noteStanSQL, stan: true},
	{names: "sql_no_caching", note: noteStanSQL, stan: true},
	{names: "secure", help: "… only with TLS", set: stanFlag(func(s *StanConfig, v string) (err error) {
		s.Remote.Secure, err = strconv.ParseBool(v)
		return err
	})},
	{names: "tls_client_cert", arg: "FILE", help: "… with this certificate", set: remoteFile(func(c *RemoteConfig) *string { return &c.CertFile })},
	{names: "tls_client_key", arg: "FILE", help: "… and its key", set: remoteFile(func(c *RemoteConfig) *string { return &c.KeyFile })},
	{names: "tls_client_cacert", arg: "FILE", help: "… whose certificates this authority signs", set: remoteFile(func(c *RemoteConfig) *string { return &c.CAFile })},
	{names: "syslog_name", arg: "NAME", note: noteStanSyslog, stan: true},
}
