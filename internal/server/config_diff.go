package server

import (
	"fmt"
	"reflect"
	"strings"
)

// setting is a part of the configuration as a reload sees it.
type setting struct {
	key    string // as it is written in the file
	reload bool   // it may change while the server runs
	of     func(c *Config) any
}

// settings are all parts of the configuration. What the running server holds on
// to is not reloadable: addresses, files, the storage, and limits that rooms were
// built with.
var settings = []setting{
	{"host", false, func(c *Config) any { return c.namedHost() }},
	{"port", false, func(c *Config) any { return c.Port }},
	{"server_name", false, func(c *Config) any { return c.ServerName }},
	{"client_advertise", true, func(c *Config) any { return c.ClientAdvertise }},
	{"max_payload", true, func(c *Config) any { return c.MaxPayload }},
	{"max_pending", false, func(c *Config) any { return c.MaxPending }},
	{"max_control_line", true, func(c *Config) any { return c.MaxControlLine }},
	{"max_connections", true, func(c *Config) any { return c.MaxConnections }},
	{"max_subscriptions", false, func(c *Config) any { return c.MaxSubs }},
	{"max_sub_tokens", true, func(c *Config) any { return c.MaxSubTokens }},
	{"max_closed_clients", false, func(c *Config) any { return c.MaxClosed }},
	{"ping_interval", true, func(c *Config) any { return c.PingInterval }},
	{"ping_max", true, func(c *Config) any { return c.PingMax }},
	{"write_deadline", true, func(c *Config) any { return c.WriteDeadline }},
	{"no_header_support", false, func(c *Config) any { return c.NoHeaderSupport }},
	{"lame_duck_duration", false, func(c *Config) any { return c.LameDuckDuration }},
	{"lame_duck_grace_period", false, func(c *Config) any { return c.LameDuckGrace }},
	{"websocket", false, func(c *Config) any { return c.WebSocket }},
	{"tls", true, func(c *Config) any { return c.TLS }},
	{"allow_non_tls", false, func(c *Config) any { return c.AllowNonTLS }},
	{"authorization", true, func(c *Config) any { return c.Auth }},
	{"accounts", true, func(c *Config) any { return c.Accounts }},
	{"system_account", false, func(c *Config) any { return c.SystemAccount }},
	{"no_system_account", false, func(c *Config) any { return c.NoSystem }},
	{"jetstream", false, func(c *Config) any { return c.JetStream }},
	{"stan", false, func(c *Config) any { return c.Stan }},
	{"liftbridge", false, func(c *Config) any { return c.Liftbridge.built() }},
	{"liftbridge.tls.client.authz", true, func(c *Config) any { return c.Liftbridge.Authz.named() }},
	{"leafnodes", false, func(c *Config) any { return c.Leaf }},
	{"http", false, func(c *Config) any { return c.HTTP.asNamed() }},
	{"debug", true, func(c *Config) any { return c.Log.Debug }},
	{"trace", true, func(c *Config) any { return c.Log.Trace }},
	{"logtime", true, func(c *Config) any { return c.Log.NoTime }},
	{"logtime_utc", true, func(c *Config) any { return c.Log.UTC }},
	{"logfile", false, func(c *Config) any { return c.Log.File }},
	{"log_format", false, func(c *Config) any { return c.Log.Format }},
	{"pid_file", false, func(c *Config) any { return c.PidFile }},
	{"ports_file_dir", false, func(c *Config) any { return c.PortsFileDir }},
}

// namedHost is the configured host, empty where the server chose. A reload that
// configures the first user does not move the server off loopback.
func (c *Config) namedHost() string {
	if c.HostNamed {
		return c.Host
	}
	return ""
}

// asNamed leaves out a host that follows from the one of the clients.
func (h HTTPConfig) asNamed() HTTPConfig {
	if !h.HostNamed {
		h.Host = ""
	}
	return h
}

// Change is a setting that differs between two configurations.
type Change struct {
	Key    string
	Reload bool // it may change while the server runs
}

// Diff lists what differs between two configurations, in the order of the manual.
func Diff(old, next *Config) []Change {
	var out []Change
	for _, s := range settings {
		if !reflect.DeepEqual(s.of(old), s.of(next)) {
			out = append(out, Change{s.key, s.reload})
		}
	}
	return out
}

// refuseReload gives the changes between two configurations, and an error that
// names those that need a restart.
func refuseReload(old, next *Config) (changed []string, err error) {
	var refused []string
	for _, c := range Diff(old, next) {
		if c.Reload {
			changed = append(changed, c.Key)
		} else {
			refused = append(refused, c.Key)
		}
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("%s can not change while the server runs: restart it, or set the old value again", strings.Join(refused, ", "))
	}
	return changed, nil
}
