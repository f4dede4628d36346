package server

import (
	"math"
	"sort"

	"github.com/weirmq/weir/internal/auth"
)

var authKeys = block{
	{names: "user username", set: func(c *Config, v value) { c.Auth.User = v.credential() }},
	{names: "pass password", set: func(c *Config, v value) { c.Auth.Password = v.str() }},
	{names: "token", set: func(c *Config, v value) { c.Auth.Token = v.credential() }},
	{names: "timeout", set: func(c *Config, v value) { c.Auth.Timeout, c.Auth.timeoutNamed = v.duration(), true }},
	{names: "users", set: func(c *Config, v value) { c.Auth.Users = v.users() }},
	{names: "default_permission default_permissions permissions", set: func(c *Config, v value) { c.Auth.Default = v.permissions() }},
	{names: "auth_callout auth_hook", set: refuse("auth callout is not served yet: without it this server would let the wrong clients in")},
	{names: "proxy_required", note: noteLogging},
}

// credential is a text that must not be empty: one that came out of an empty
// variable would leave the server open.
func (v value) credential() string {
	s := v.str()
	if s == "" {
		v.fail("must not be empty")
	}
	return s
}

// users reads a list of users.
func (v value) users() []UserConfig {
	var out []UserConfig
	v.each(func(e value) {
		var u UserConfig
		e.block(block{
			{names: "user username", set: func(_ *Config, v value) { u.Name = v.credential() }},
			{names: "pass password", set: func(_ *Config, v value) { u.Password = v.str() }},
			{names: "permission permissions authorization", set: func(_ *Config, v value) { u.Permissions = v.permissions() }},
			{names: "nkey", set: refuse("users with NKeys are not served yet: give them a password")},
			{names: "allowed_connection_types connection_types clients", set: connectionTypes},
			{names: "proxy_required", note: noteLogging},
		})
		if u.Name == "" {
			e.fail("has no user name")
			return
		}
		out = append(out, u)
	})
	return out
}

// connectionTypes accepts what this server can tell apart: a user for other kinds
// of connections must not come in over this one.
func connectionTypes(_ *Config, v value) {
	for _, t := range v.strs() {
		if t == "STANDARD" || t == "standard" {
			return
		}
	}
	v.fail("only STANDARD connections are served yet")
}

// permissions reads what somebody may do.
func (v value) permissions() *PermissionConfig {
	p := &PermissionConfig{}
	v.block(block{
		{names: "publish pub import", set: func(_ *Config, v value) { p.Publish = v.rule() }},
		{names: "subscribe sub export", set: func(_ *Config, v value) { p.Subscribe = v.rule() }},
		{names: "allow_responses publish_allow_responses", set: func(_ *Config, v value) { p.Responses = v.responses() }},
	})
	if _, err := auth.Compile(p.Publish, p.Subscribe, p.Responses); err != nil {
		v.fail("%v", err)
	}
	return p
}

// rule reads allowed and denied subjects.
func (v value) rule() auth.Rule {
	var r auth.Rule
	if _, ok := v.v.(map[string]any); !ok {
		r.Allow, r.Allowing = v.strs(), true
		return r
	}
	v.block(block{
		{names: "allow", set: func(_ *Config, v value) { r.Allow, r.Allowing = v.strs(), true }},
		{names: "deny", set: func(_ *Config, v value) { r.Deny = v.strs() }},
	})
	return r
}

func (v value) responses() *auth.Responses {
	r := &auth.Responses{Max: auth.DefaultMaxResponses, Expires: auth.DefaultResponseExpires}
	if on, ok := v.v.(bool); ok {
		if !on {
			return nil
		}
		return r
	}
	v.block(block{
		{names: "max max_msgs max_messages max_responses", set: func(_ *Config, v value) { r.Max = v.count(math.MinInt32, math.MaxInt32) }},
		{names: "expires expiration ttl", set: func(_ *Config, v value) { r.Expires = v.span(-longest) }},
	})
	return r
}

// setAccounts reads the accounts: a block, or a list of names.
func setAccounts(c *Config, v value) {
	if _, ok := v.v.([]any); ok {
		for _, name := range v.strs() {
			c.Accounts = append(c.Accounts, newAccount(name))
		}
		return
	}
	m, ok := v.v.(map[string]any)
	if !ok {
		v.fail("must be a block in braces or a list of names")
		return
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		e := v.wrap(name, m[name])
		if name == "$G" {
			e.fail("is reserved")
			continue
		}
		c.Accounts = append(c.Accounts, e.account(name))
	}
}

func newAccount(name string) AccountConfig {
	return AccountConfig{
		Name: name, MaxMemory: -1, MaxStorage: -1, MaxStreams: -1, MaxConsumers: -1,
		MaxAckPending: -1, MaxMemoryStream: -1, MaxStorageStream: -1,
	}
}

func (v value) account(name string) AccountConfig {
	a := newAccount(name)
	v.block(block{
		{names: "users", set: func(c *Config, v value) { c.Auth.configured, a.Users = true, v.users() }},
		{names: "jetstream", set: func(_ *Config, v value) { v.accountJetStream(&a) }},
		{names: "default_permission default_permissions permissions", set: func(_ *Config, v value) { a.Default = v.permissions() }},
		{names: "limits", set: func(_ *Config, v value) {
			v.block(block{
				{names: "max_connections max_conn", set: func(_ *Config, v value) { a.MaxConnections = v.count(-1, math.MaxInt32) }},
				{names: "max_subscriptions max_subs", set: func(_ *Config, v value) { a.MaxSubscriptions = v.count(-1, math.MaxInt32) }},
				{names: "max_payload", set: func(_ *Config, v value) { a.MaxPayload = int(v.bytes()) }},
				{names: "max_leafnodes max_leafs", note: noteLinks},
			})
		}},
		{names: "nkey", note: noteJWT},
		{names: "exports", set: func(_ *Config, v value) { a.Exports = v.exports() }},
		{names: "imports", set: func(_ *Config, v value) { a.Imports = v.imports() }},
		{names: "mappings maps", note: noteMappings},
		{names: "msg_trace trace_dest", note: noteLogging},
	})
	return a
}

func (v value) accountJetStream(a *AccountConfig) {
	switch x := v.v.(type) {
	case bool:
		a.JetStream = x
	case string:
		a.JetStream = x == "enabled" || x == "enable"
		if !a.JetStream && x != "disabled" && x != "disable" {
			v.fail("must be true, false or a block in braces")
		}
	default:
		a.JetStream = true
		v.block(block{
			{names: "enabled enable", set: func(_ *Config, v value) { a.JetStream = v.boolean() }},
			{names: "max_memory max_mem memory mem", set: func(_ *Config, v value) { a.MaxMemory = v.bytes() }},
			{names: "max_store max_file max_storage storage store disk file", set: func(_ *Config, v value) { a.MaxStorage = v.bytes() }},
			{names: "max_streams streams", set: func(_ *Config, v value) { a.MaxStreams = v.count(-1, math.MaxInt32) }},
			{names: "max_consumers consumers", set: func(_ *Config, v value) { a.MaxConsumers = v.count(-1, math.MaxInt32) }},
			{names: "max_ack_pending", set: func(_ *Config, v value) { a.MaxAckPending = v.count(-1, math.MaxInt32) }},
			{names: "max_bytes_required max_stream_bytes max_bytes", set: func(_ *Config, v value) { a.NeedsMaxBytes = v.boolean() }},
			{names: "memory_max_stream_bytes mem_max_stream_bytes", set: func(_ *Config, v value) { a.MaxMemoryStream = v.bytes() }},
			{names: "disk_max_stream_bytes store_max_stream_bytes", set: func(_ *Config, v value) { a.MaxStorageStream = v.bytes() }},
			{names: "cluster_traffic", note: noteCluster},
		})
	}
}
